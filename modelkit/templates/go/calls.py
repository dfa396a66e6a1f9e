"""Calls of functions, compiled to closures over (state, dot)."""

from collections.abc import Callable, Sequence

from modelkit.templates.go import tree
from modelkit.templates.go.functions import FUNCTIONS, LAZY, Function
from modelkit.templates.go.state import State, fail, settled
from modelkit.templates.go.values import INVALID, Failure, type_name

Evaluate = Callable[[State, object], object]
Stage = Callable[[State, object, object], object]
# Texts and lists up to this long cost nothing extra to pass to a function.
_SHORT = 256


def compile_call(name: tree.Identifier, operands: list[Evaluate]) -> Evaluate:
    """A call into which nothing is piped."""
    if name.name in LAZY:
        return _compile_lazy(name, operands)
    invoke = _compile_invocation(name, len(operands))
    if len(operands) == 1:
        (only,) = operands
        return lambda state, dot: invoke(state, (only(state, dot),))
    if len(operands) == 2:
        first, second = operands
        return lambda state, dot: invoke(state, (first(state, dot), second(state, dot)))
    return lambda state, dot: invoke(state, [operand(state, dot) for operand in operands])


def compile_piped_call(name: tree.Identifier, operands: list[Evaluate]) -> Stage:
    """A call that gets the value before it as its last argument."""
    if name.name in LAZY:
        return _compile_piped_lazy(name, operands)
    invoke = _compile_invocation(name, len(operands) + 1)
    as_text = FUNCTIONS[name.name].takes_text(len(operands))

    def call(state: State, dot: object, piped: object) -> object:
        values = [operand(state, dot) for operand in operands]
        if as_text and not isinstance(piped, str):
            fail(name, f"wrong type for value; expected string; got {type_name(piped)}")
        values.append(None if piped is INVALID else piped)
        return invoke(state, values)

    return call


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


def _compile_lazy(name: tree.Identifier, operands: list[Evaluate]) -> Evaluate:
    """and, or: the first argument that decides, else the last."""
    if not operands:
        message = f"wrong number of args for {name.name}: want at least 1 got 0"
        return lambda _state, _dot: fail(name, message)
    *others, last = operands
    decisive = LAZY[name.name]

    def call(state: State, dot: object) -> object:
        for operand in others:
            value = operand(state, dot)
            if bool(value) is decisive:
                return settled(value)
        return settled(last(state, dot))

    return call


def _compile_piped_lazy(name: tree.Identifier, operands: list[Evaluate]) -> Stage:
    decisive = LAZY[name.name]

    def call(state: State, dot: object, piped: object) -> object:
        for operand in operands:
            value = operand(state, dot)
            if bool(value) is decisive:
                return settled(value)
        return piped

    return call
