"""Pipelines, commands and operands, compiled to closures over (state, dot)."""

from collections.abc import Callable, Sequence
from typing import TypeGuard

from modelkit.templates.go import tree
from modelkit.templates.go.functions import FUNCTIONS, LAZY, Function
from modelkit.templates.go.state import State, fail, settled
from modelkit.templates.go.values import INVALID, Failure, is_struct, type_name

Evaluate = Callable[[State, object], object]
Stage = Callable[[State, object, object], object]
# Texts up to this long cost nothing extra to pass to a function.
_SHORT = 256


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
    return sum(len(node.names) if isinstance(node, tree.Field) else 1 for node in pipeline.walk())


# ---- Commands ----


def _compile_command(command: tree.Command) -> Evaluate:
    """The first command of a pipeline: nothing comes through the pipe."""
    first, *arguments = command.arguments
    if isinstance(first, tree.Identifier):
        return _compile_call(first, arguments)
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
        return _compile_piped_call(first, arguments)
    uncallable = _compile_uncallable(first)
    return lambda state, dot, _: uncallable(state, dot)


def _compile_uncallable(node: tree.Node) -> Evaluate:
    """A value given arguments: an error, unless it is a field of what is absent."""
    if not _has_fields(node):
        return _failing(node, "can't give argument to non-function")
    receiver = _compile_receiver(node)

    def evaluate(state: State, dot: object) -> object:
        if receiver(state, dot) is not INVALID:
            fail(node, "a field has arguments but is not a function")
        return INVALID

    return evaluate


def _failing(node: tree.Node, message: str) -> Evaluate:
    return lambda _state, _dot: fail(node, message)


# ---- Functions ----


def _compile_call(name: tree.Identifier, arguments: list[tree.Node]) -> Evaluate:
    """A call into which nothing is piped."""
    if name.name in LAZY:
        return _compile_lazy(name, arguments)
    operands = _compile_arguments(name, arguments)
    invoke = _compile_invocation(name, len(operands))
    if len(operands) == 1:
        (only,) = operands
        return lambda state, dot: invoke(state, (only(state, dot),))
    if len(operands) == 2:
        first, second = operands
        return lambda state, dot: invoke(state, (first(state, dot), second(state, dot)))
    return lambda state, dot: invoke(state, [operand(state, dot) for operand in operands])


def _compile_piped_call(name: tree.Identifier, arguments: list[tree.Node]) -> Stage:
    """A call that gets the value before it as its last argument."""
    if name.name in LAZY:
        return _compile_piped_lazy(name, arguments)
    operands = _compile_arguments(name, arguments)
    invoke = _compile_invocation(name, len(operands) + 1)
    as_text = FUNCTIONS[name.name].takes_text(len(operands))

    def call(state: State, dot: object, piped: object) -> object:
        values = [operand(state, dot) for operand in operands]
        if as_text and not isinstance(piped, str):
            fail(name, f"wrong type for value; expected string; got {type_name(piped)}")
        values.append(None if piped is INVALID else piped)
        return invoke(state, values)

    return call


def _compile_arguments(name: tree.Identifier, arguments: list[tree.Node]) -> list[Evaluate]:
    function = FUNCTIONS[name.name]
    if name.name == "slice":
        return [_compile_argument(a) if a is arguments[0] else _compile_bound(a) for a in arguments]
    return [
        _compile_text(argument) if function.takes_text(position) else _compile_argument(argument)
        for position, argument in enumerate(arguments)
    ]


def _compile_invocation(
    name: tree.Identifier, given: int
) -> Callable[[State, Sequence[object]], object]:
    """Run the function on its arguments; long texts and lists cost steps."""
    function = FUNCTIONS[name.name]
    if not _fits(function, given):
        message = f"wrong number of args for {name.name}: got {given}"
        return lambda _state, _values: fail(name, message)
    run = function.run

    def invoke(state: State, values: Sequence[object]) -> object:
        for value in values:
            kind = type(value)
            if (kind is str or kind is list) and len(value) > _SHORT:  # type: ignore[arg-type]
                state.spend(len(value) >> 3, name)  # type: ignore[arg-type]
        try:
            result = run(*values)
        except Failure as error:
            fail(name, f"error calling {name.name}: {error}")
        if type(result) is str and len(result) > _SHORT:
            state.spend(len(result) >> 3, name)
        return INVALID if result is None else result

    return invoke


def _fits(function: Function, given: int) -> bool:
    return function.least <= given and (function.most is None or given <= function.most)


def _compile_lazy(name: tree.Identifier, arguments: list[tree.Node]) -> Evaluate:
    """and, or: the first argument that decides, else the last."""
    if not arguments:
        return _failing(name, f"wrong number of args for {name.name}: want at least 1 got 0")
    *operands, last = [compile_operand(argument) for argument in arguments]
    decisive = LAZY[name.name]

    def call(state: State, dot: object) -> object:
        for operand in operands:
            value = operand(state, dot)
            if bool(value) is decisive:
                return settled(value)
        return settled(last(state, dot))

    return call


def _compile_piped_lazy(name: tree.Identifier, arguments: list[tree.Node]) -> Stage:
    operands = [compile_operand(argument) for argument in arguments]
    decisive = LAZY[name.name]

    def call(state: State, dot: object, piped: object) -> object:
        for operand in operands:
            value = operand(state, dot)
            if bool(value) is decisive:
                return settled(value)
        return piped

    return call


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
            return _compile_call(node, [])
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


WithFields = tree.Field | tree.Variable | tree.Chain


def _has_fields(node: tree.Node) -> TypeGuard[WithFields]:
    return isinstance(node, tree.Field | tree.Chain) or (
        isinstance(node, tree.Variable) and bool(node.fields)
    )


def _field_names(node: WithFields) -> list[str]:
    return node.names if isinstance(node, tree.Field) else node.fields


def _compile_receiver(node: WithFields) -> Evaluate:
    """The value whose field is the last one that the node names."""
    *names, _ = _field_names(node)
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
    name = _field_names(node)[-1]
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
    if not _has_fields(node):
        return operand
    receiver = _compile_receiver(node)

    def evaluate(state: State, dot: object) -> object:
        if isinstance(receiver(state, dot), dict):
            fail(node, "error calling slice: cannot index slice/array with type interface {}")
        return operand(state, dot)

    return evaluate


def field_of(value: object, name: str, node: tree.Node) -> object:
    """`value.name`: None for a key that a map lacks; raises TemplateError where Go would."""
    if value is INVALID:
        return INVALID
    if is_struct(value):
        try:
            return value.go_field(name)
        except KeyError:
            fail(node, f"can't evaluate field {name} in type {type_name(value)}")
    if isinstance(value, dict):
        return value.get(name)
    reason = f"can't evaluate field {name} in type {type_name(value)}"
    return fail(node, f"nil pointer evaluating interface {{}}.{name}" if value is None else reason)
