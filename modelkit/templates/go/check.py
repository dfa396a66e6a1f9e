"""What Go checks while parsing beyond the grammar: functions, variables, loops, definitions."""

from typing import NoReturn

from modelkit.grammar.errors import nearest
from modelkit.grammar.gotemplate import MISTAKES
from modelkit.templates.go import tree
from modelkit.templates.go.functions import FUNCTIONS
from modelkit.templates.go.parser import error_at

# Each level costs a few Python frames when the template is compiled and rendered.
MAX_NESTING = 100


def check(root: tree.Body, source: str) -> dict[str, tree.Body]:
    """The bodies of all templates by name; the whole template goes by the empty name.

    Raises TemplateError (stage parse) for the first thing that Go's parser would refuse.
    """
    checker = _Checker(source)
    checker.template(root)
    checker.define("", root, root)
    return checker.templates


class _Checker:
    """Walks the tree in the order of the source, as Go's parser meets it."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.templates: dict[str, tree.Body] = {}
        self.variables: list[str] = ["$"]
        self.known = {"$": 1}
        self.loops = 0
        self.depth = 0

    def template(self, body: tree.Body) -> None:
        """A template of its own: it sees no variable and no loop from around it."""
        outer = self.variables, self.known, self.loops
        self.variables, self.known, self.loops = ["$"], {"$": 1}, 0
        self.body(body)
        self.variables, self.known, self.loops = outer

    def define(self, name: str, body: tree.Body, node: tree.Node) -> None:
        """Add a template; an empty one gives way to another of the same name."""
        old = self.templates.get(name)
        if old is None or _is_empty(old):
            self.templates[name] = body
        elif not _is_empty(body):
            self.refuse("defined twice", node, name=name)

    def body(self, body: tree.Body) -> None:
        self.depth += 1
        if self.depth > MAX_NESTING:
            self.refuse("too deep", body, limit=MAX_NESTING)
        for item in body.items:
            self.item(item)
        self.depth -= 1

    def item(self, node: tree.Node) -> None:
        match node:
            case tree.Action() | tree.TemplateCall():
                if node.pipeline:
                    self.pipeline(node.pipeline)
            case tree.If() | tree.With():
                self.choice(node)
            case tree.Range():
                self.loop(node)
            case tree.Break() | tree.Continue():
                if not self.loops:
                    self.refuse("outside a loop", node, word=type(node).__name__.lower())
            case tree.Define():
                self.template(node.body)
                self.define(node.name, node.body, node)
            case tree.Block():
                self.pipeline(node.pipeline)
                self.template(node.body)
                self.define(node.name, node.body, node)

    def choice(self, node: tree.If | tree.With) -> None:
        mark = len(self.variables)
        for branch in node.branches:
            self.pipeline(branch.pipeline)
            self.body(branch.body)
        if node.otherwise:
            self.body(node.otherwise)
        self.forget(mark)

    def loop(self, node: tree.Range) -> None:
        mark = len(self.variables)
        self.pipeline(node.pipeline)
        self.loops += 1
        self.body(node.body)
        self.loops -= 1
        if node.otherwise:
            self.body(node.otherwise)
        self.forget(mark)

    def pipeline(self, pipeline: tree.Pipeline) -> None:
        self.depth += 1
        if self.depth > MAX_NESTING:
            self.refuse("too deep", pipeline, limit=MAX_NESTING)
        for variable in pipeline.variables:
            # Go knows the name before it reads the value, and also when it only assigns.
            self.variables.append(variable.name)
            self.known[variable.name] = self.known.get(variable.name, 0) + 1
        for command in pipeline.commands:
            for argument in command.arguments:
                self.operand(argument)
        self.depth -= 1

    def operand(self, node: tree.Node) -> None:
        match node:
            case tree.Variable() if not self.known.get(node.name):
                self.refuse("undefined variable", node, name=node.name)
            case tree.Identifier() if node.name not in FUNCTIONS:
                advice = _advice(node.name)
                self.refuse("unknown function", node, name=node.name, advice=advice)
            case tree.Chain():
                self.operand(node.operand)
            case tree.Pipeline():
                self.pipeline(node)

    def forget(self, mark: int) -> None:
        """Leave a scope: the names declared since then are gone."""
        for name in self.variables[mark:]:
            self.known[name] -= 1
        del self.variables[mark:]

    def refuse(self, kind: str, node: tree.Node, **fields: object) -> NoReturn:
        raise error_at(MISTAKES[kind].at(node.start, **fields), self.source)


def _is_empty(body: tree.Body) -> bool:
    return all(
        isinstance(item, tree.Comment | tree.Define)
        or (isinstance(item, tree.Text) and not item.text.strip())
        for item in body.items
    )


def _advice(name: str) -> str:
    match = nearest(name, FUNCTIONS)
    return f"did you mean {match}?" if match else f"a field has a dot before it: .{name}"
