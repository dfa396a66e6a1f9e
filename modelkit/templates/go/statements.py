"""Texts, actions, choices, loops and template calls, compiled to closures over (state, dot)."""

from collections.abc import Callable, Iterable, Mapping
from typing import cast

from modelkit.templates.go import tree
from modelkit.templates.go.pipelines import assign_variable, compile_pipeline, cost, declares
from modelkit.templates.go.sprint import text_of
from modelkit.templates.go.state import Break, Continue, State, fail
from modelkit.templates.go.values import INVALID, Byte, Failure, type_name

Execute = Callable[[State, object], None]


def compile_templates(bodies: Mapping[str, tree.Body]) -> dict[str, Execute]:
    """What to run for each template; they call each other by name."""
    compiler = _Compiler()
    for name, body in bodies.items():
        compiler.templates[name] = compiler.body(body)
    return compiler.templates


class _Compiler:
    def __init__(self) -> None:
        self.templates: dict[str, Execute] = {}

    def body(self, body: tree.Body) -> Execute:
        """Run the items one after the other, once it is sure that the budget covers them."""
        items = [self.item(item) for item in body.items if not isinstance(item, _SILENT)]
        steps = 1 + sum(_cost(item) for item in body.items)
        if not items:
            return lambda state, _: state.spend(1, body)

        def run(state: State, dot: object) -> None:
            state.steps -= steps
            if state.steps < 0:
                state.spend(0, body)
            for item in items:
                item(state, dot)

        return run

    def item(self, node: tree.Node) -> Execute:
        match node:
            case tree.Text():
                text = node.text
                return lambda state, _: state.print(text, node)
            case tree.Action():
                return self.action(node)
            case tree.If() | tree.With():
                return self.choice(node)
            case tree.Range():
                return self.loop(node)
            case tree.TemplateCall() | tree.Block():
                return self.call(node)
            case tree.Break():
                return _break
            case tree.Continue():
                return _continue
        raise AssertionError(node)

    def action(self, node: tree.Action) -> Execute:
        pipeline = compile_pipeline(node.pipeline)
        if node.pipeline.variables:
            return lambda state, dot: cast("None", pipeline(state, dot))

        def run(state: State, dot: object) -> None:
            value = pipeline(state, dot)
            if type(value) is str:
                state.print(value, node)
                return
            try:
                text = text_of(value)
            except Failure as error:
                fail(node, str(error))
            state.spend(len(text) >> 2, node)
            state.print(text, node)

        return run

    def choice(self, node: tree.If | tree.With) -> Execute:
        branches = [(compile_pipeline(b.pipeline), self.body(b.body)) for b in node.branches]
        otherwise = self.body(node.otherwise) if node.otherwise else None
        rebinds = isinstance(node, tree.With)

        def run(state: State, dot: object) -> None:
            for test, body in branches:
                value = test(state, dot)
                if value:
                    body(state, value if rebinds else dot)
                    return
            if otherwise:
                otherwise(state, dot)

        return _scoped(run) if _has_scope(node) else run

    def loop(self, node: tree.Range) -> Execute:
        source = compile_pipeline(node.pipeline)
        turn = self.turn(node)
        otherwise = self.body(node.otherwise) if node.otherwise else None
        leaves = _holds(node.body, tree.Break)

        def run(state: State, dot: object) -> None:
            value = source(state, dot)
            ran = False
            for key, element in _elements(value, node, state):
                ran = True
                turn(state, key, element)
            if not ran and otherwise:
                otherwise(state, dot)

        def run_until_break(state: State, dot: object) -> None:
            try:
                run(state, dot)
            except Break:
                return

        chosen = run_until_break if leaves else run
        return _scoped(chosen) if _has_scope(node) else chosen

    def turn(self, node: tree.Range) -> Callable[[State, object, object], None]:
        """One turn of a loop: set the variables, then run the body in a scope of its own."""
        body = self.body(node.body)
        if _holds(node.body, tree.Continue):
            body = _until_continue(body)
        if _declares_in(node.body):
            body = _scoped(body)
        variables, assigns = node.pipeline.variables, node.pipeline.assigns
        if not variables:
            return lambda state, _, element: body(state, element)
        count = len(variables)

        def run(state: State, key: object, element: object) -> None:
            for variable, value in zip(variables, (key, element)[-count:], strict=True):
                if assigns:
                    assign_variable(state, variable, value)
                else:
                    state.variables[variable.name] = value
            body(state, element)

        return run

    def call(self, node: tree.TemplateCall | tree.Block) -> Execute:
        argument = compile_pipeline(node.pipeline) if node.pipeline else _nothing
        templates, name = self.templates, node.name

        def run(state: State, dot: object) -> None:
            template = templates.get(name)
            if template is None:
                fail(node, f'template "{name}" not defined')
            value = argument(state, dot)
            if state.depth == 0:
                fail(node, "exceeded maximum template depth")
            outer = state.variables, state.undo
            state.variables, state.undo = {"$": value}, []
            state.depth -= 1
            template(state, value)
            state.depth += 1
            state.variables, state.undo = outer

        return run


_SILENT = (tree.Comment, tree.Define)


def _break(_state: State, _dot: object) -> None:
    raise Break


def _continue(_state: State, _dot: object) -> None:
    raise Continue


def _nothing(_state: State, _dot: object) -> object:
    return INVALID


def _until_continue(body: Execute) -> Execute:
    def run(state: State, dot: object) -> None:
        try:
            body(state, dot)
        except Continue:
            return

    return run


def _scoped(inner: Execute) -> Execute:
    """What is declared inside is forgotten at the end, however it ends."""

    def run(state: State, dot: object) -> None:
        mark = len(state.undo)
        try:
            inner(state, dot)
        finally:
            state.unwind(mark)

    return run


def _elements(value: object, node: tree.Range, state: State) -> Iterable[tuple[object, object]]:
    """Keys and elements of what is ranged over; raises TemplateError for what cannot be."""
    match value:
        case dict():
            state.spend(len(value) >> 4, node)
            return [(key, value[key]) for key in sorted(value)]
        case list() | tuple():
            return enumerate(value)
        case bool():
            pass
        case int():
            if len(node.pipeline.variables) > 1:
                fail(node, f"can't use {int(value)} to iterate over more than one variable")
            numbers = range(int(value))
            if type(value) is Byte:
                return ((INVALID, Byte(number)) for number in numbers)
            return zip(numbers, numbers, strict=True)
        case _ if value is INVALID or value is None:
            return ()
    return fail(node, f"range can't iterate over {type_name(value)}")


# ---- What is known before it runs ----


def _cost(node: tree.Node) -> int:
    """Steps of an item itself, without those of bodies inside it."""
    match node:
        case tree.Action() | tree.Range():
            return 1 + cost(node.pipeline)
        case tree.If() | tree.With():
            return 1 + sum(cost(branch.pipeline) for branch in node.branches)
        case tree.TemplateCall() | tree.Block():
            return 1 + (cost(node.pipeline) if node.pipeline else 0)
    return 1


def _has_scope(node: tree.If | tree.With | tree.Range) -> bool:
    """Whether anything is declared in the scope that the node opens."""
    if isinstance(node, tree.Range):
        bodies = [node.otherwise]
        pipelines = [node.pipeline]
    else:
        bodies = [*(branch.body for branch in node.branches), node.otherwise]
        pipelines = [branch.pipeline for branch in node.branches]
    return any(map(declares, pipelines)) or any(_declares_in(body) for body in bodies if body)


def _declares_in(body: tree.Body) -> bool:
    """Whether an item declares variables in the scope around the body."""
    return any(
        declares(item.pipeline)
        for item in body.items
        if isinstance(item, tree.Action | tree.TemplateCall | tree.Block) and item.pipeline
    )


def _holds(body: tree.Body, kind: type[tree.Node]) -> bool:
    """Whether a break or continue inside belongs to the loop with this body."""
    waiting: list[tree.Node] = list(body.items)
    while waiting:
        node = waiting.pop()
        if isinstance(node, kind):
            return True
        if isinstance(node, tree.Range):
            waiting.extend(node.otherwise.items if node.otherwise else ())
        elif isinstance(node, tree.If | tree.With | tree.Branch | tree.Body):
            waiting.extend(node.children())
    return False
