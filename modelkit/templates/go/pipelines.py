"""Pipelines, commands and operands, compiled to closures over (state, dot)."""

from modelkit.templates.go import tree
from modelkit.templates.go.calls import Evaluate, Stage, compile_call, compile_piped_call
from modelkit.templates.go.fields import WithFields, field_names, field_of, has_fields
from modelkit.templates.go.functions import FUNCTIONS
from modelkit.templates.go.state import State, fail
from modelkit.templates.go.values import INVALID, type_name


def compile_pipeline(pipeline: tree.Pipeline) -> Evaluate:
    """The value of the last command; variables of the pipeline are set to it."""
    first = _compile_command(pipeline.commands[0])
    rest = [_compile_stage(command) for command in pipeline.commands[1:]]
    if not rest and not pipeline.variables:
        return first
    names = [variable.name for variable in pipeline.variables]

    def evaluate(state: State, dot: object) -> object:
        value = first(state, dot)
        for stage in rest:
            value = stage(state, dot, value)
        for name in names:
            state.declare(name, value)
        return value

    def assign(state: State, dot: object) -> object:
        value = first(state, dot)
        for stage in rest:
            value = stage(state, dot, value)
        for variable in pipeline.variables:
            assign_variable(state, variable, value)
        return value

    return assign if pipeline.assigns else evaluate


def assign_variable(state: State, variable: tree.Variable, value: object) -> None:
    """`$x = value`; raises TemplateError when no scope has declared it at this moment."""
    if variable.name not in state.variables:
        fail(variable, f"undefined variable: {variable.name}")
    state.variables[variable.name] = value


def declares(pipeline: tree.Pipeline) -> bool:
    """Whether the pipeline, or one in parentheses inside it, declares variables."""
    return any(
        isinstance(node, tree.Pipeline) and node.variables and not node.assigns
        for node in pipeline.walk()
    )


def cost(pipeline: tree.Pipeline) -> int:
    """How many steps one evaluation takes."""
    return sum(len(field_names(node)) if has_fields(node) else 1 for node in pipeline.walk())


# ---- Commands ----


def _compile_command(command: tree.Command) -> Evaluate:
    """The first command of a pipeline: nothing comes through the pipe."""
    first, *arguments = command.arguments
    if isinstance(first, tree.Identifier):
        return compile_call(first, _compile_arguments(first, arguments))
    if arguments:
        return _compile_uncallable(first)
    if isinstance(first, tree.Nil):
        return _failing(first, "nil is not a command")
    operand = compile_operand(first)
    if isinstance(first, tree.Literal | tree.Pipeline):
        return operand

    def evaluate(state: State, dot: object) -> object:
        value = operand(state, dot)
        return INVALID if value is None else value

    return evaluate


def _compile_stage(command: tree.Command) -> Stage:
    """A later command: it gets the value before it as its last argument."""
    first, *arguments = command.arguments
    if isinstance(first, tree.Identifier):
        return compile_piped_call(first, _compile_arguments(first, arguments))
    uncallable = _compile_uncallable(first)
    return lambda state, dot, _: uncallable(state, dot)


def _compile_uncallable(node: tree.Node) -> Evaluate:
    """A value given arguments: an error, unless it is a field of what is absent."""
    if not has_fields(node):
        return _failing(node, "can't give argument to non-function")
    receiver = _compile_receiver(node)

    def evaluate(state: State, dot: object) -> object:
        if receiver(state, dot) is not INVALID:
            fail(node, "a field has arguments but is not a function")
        return INVALID

    return evaluate


def _failing(node: tree.Node, message: str) -> Evaluate:
    return lambda _state, _dot: fail(node, message)


# ---- Arguments ----


def _compile_arguments(name: tree.Identifier, arguments: list[tree.Node]) -> list[Evaluate]:
    function = FUNCTIONS[name.name]
    if name.name == "slice":
        return [_compile_argument(a) if a is arguments[0] else _compile_bound(a) for a in arguments]
    return [
        _compile_text(argument) if function.takes_text(position) else _compile_argument(argument)
        for position, argument in enumerate(arguments)
    ]


def _compile_argument(node: tree.Node) -> Evaluate:
    """An argument as functions take it: nil for what is absent."""
    operand = compile_operand(node)
    if isinstance(node, tree.Literal):
        return operand

    def evaluate(state: State, dot: object) -> object:
        value = operand(state, dot)
        return None if value is INVALID else value

    return evaluate


def _compile_text(node: tree.Node) -> Evaluate:
    """An argument that must be a string."""
    operand = compile_operand(node)

    def evaluate(state: State, dot: object) -> object:
        value = operand(state, dot)
        if not isinstance(value, str):
            fail(node, f"wrong type for value; expected string; got {type_name(value)}")
        return value

    return evaluate


# ---- Operands ----


def compile_operand(node: tree.Node) -> Evaluate:
    """The value of a node; None where a map or a list held nil, INVALID where nothing was."""
    match node:
        case tree.Dot():
            return _dot
        case tree.Nil():
            return lambda _state, _dot: None
        case tree.Literal():
            return _compile_literal(node)
        case tree.Variable() if not node.fields:
            return _compile_variable(node)
        case tree.Field() | tree.Variable() | tree.Chain():
            return _compile_field(node)
        case tree.Identifier():
            return compile_call(node, [])
        case tree.Pipeline():
            return compile_pipeline(node)
    raise AssertionError(node)


def _compile_literal(node: tree.Literal) -> Evaluate:
    value = node.value
    if value is None:
        return _failing(node, f"{node.text} overflows int")
    return lambda _state, _dot: value


def _compile_variable(node: tree.Variable) -> Evaluate:
    name = node.name

    def evaluate(state: State, _: object) -> object:
        try:
            return state.variables[name]
        except KeyError:
            fail(node, f"undefined variable: {name}")

    return evaluate


def _compile_receiver(node: WithFields) -> Evaluate:
    """The value whose field is the last one that the node names."""
    *names, _ = field_names(node)
    match node:
        case tree.Field():
            start: Evaluate = _dot
        case tree.Variable():
            start = _compile_variable(node)
        case tree.Chain():
            start = compile_operand(node.operand)
    if not names:
        return start

    def evaluate(state: State, dot: object) -> object:
        value = start(state, dot)
        for name in names:
            value = value.get(name) if type(value) is dict else field_of(value, name, node)
        return value

    return evaluate


def _dot(_: State, dot: object) -> object:
    return dot


def _compile_field(node: WithFields) -> Evaluate:
    name = field_names(node)[-1]
    receiver = _compile_receiver(node)
    if receiver is _dot:
        return lambda _, dot: dot.get(name) if type(dot) is dict else field_of(dot, name, node)

    def evaluate(state: State, dot: object) -> object:
        value = receiver(state, dot)
        return value.get(name) if type(value) is dict else field_of(value, name, node)

    return evaluate


def _compile_bound(node: tree.Node) -> Evaluate:
    """An index for slice: as in Go, it does not come straight out of a map."""
    operand = _compile_argument(node)
    if not has_fields(node):
        return operand
    receiver = _compile_receiver(node)

    def evaluate(state: State, dot: object) -> object:
        if isinstance(receiver(state, dot), dict):
            fail(node, "error calling slice: cannot index slice/array with type interface {}")
        return operand(state, dot)

    return evaluate
