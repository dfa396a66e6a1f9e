"""The functions of a template: Go's own, and those Ollama adds."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NoReturn

from modelkit.templates.go import compare, escaping
from modelkit.templates.go.marshal import marshal
from modelkit.templates.go.printf import sprintf
from modelkit.templates.go.quoting import decode, encode
from modelkit.templates.go.sprint import sprint, sprintln
from modelkit.templates.go.values import SLICES, Byte, Failure, is_struct, type_name


@dataclass(frozen=True, slots=True)
class Function:
    """A function, how many arguments it takes (None: any number), and which must be text.

    `run` gets Go values with None for nil, and raises Failure.
    """

    run: Callable[..., object]
    least: int = 0
    most: int | None = None
    texts: int = 0

    def takes_text(self, position: int) -> bool:
        """Whether the argument at `position` must be a string."""
        return position < self.texts


def _print(*values: object) -> str:
    return sprint(values)


def _println(*values: object) -> str:
    return sprintln(values)


def _not(value: object) -> bool:
    return not value


def _len(value: object) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else len(encode(value))
    if isinstance(value, (dict, *SLICES)):
        return len(value)
    raise Failure("len of nil pointer" if value is None else f"len of type {type_name(value)}")


def _index(value: object, *indexes: object) -> object:
    if value is None:
        raise Failure("index of untyped nil")
    for index in indexes:
        value = _item(value, index)
    return value


def _item(value: object, index: object) -> object:
    match value:
        case None:
            raise Failure("index of nil pointer")
        case dict():
            if not isinstance(index, str):
                raise Failure(f"value has type {type_name(index)}; should be string")
            return value.get(index)
        case str():
            data = encode(value)
            return Byte(data[_position(index, len(data) - 1)])
        case list() | tuple():
            return value[_position(index, len(value) - 1)]
    raise Failure(f"can't index item of type {type_name(value)}")


def _position(index: object, largest: int) -> int:
    if not isinstance(index, int) or isinstance(index, bool):
        raise Failure(f"cannot index slice/array with type {type_name(index)}")
    if not 0 <= index <= largest:
        raise Failure(f"index out of range: {int(index)}")
    return int(index)


def _slice(value: object, *indexes: object) -> object:
    if value is None:
        raise Failure("slice of untyped nil")
    if len(indexes) > 3:
        raise Failure(f"too many slice indexes: {len(indexes)}")
    data = encode(value) if isinstance(value, str) else value
    if not isinstance(data, (bytes, *SLICES)):
        raise Failure(f"can't slice item of type {type_name(value)}")
    if isinstance(data, bytes) and len(indexes) == 3:
        raise Failure("cannot 3-index slice a string")
    bounds = [_position(index, len(data)) for index in indexes]
    if bounds != sorted(bounds):
        raise Failure("invalid slice index: the bounds decrease")
    start, end = [*bounds, *(0, len(data))[len(bounds) :]][:2]
    return decode(data[start:end]) if isinstance(data, bytes) else list(data[start:end])


def _call(function: object, *_: object) -> NoReturn:
    # No data holds a function, so there is never one to call.
    if function is None:
        raise Failure("call of nil")
    raise Failure(f"non-function of type {type_name(function)}")


def _current_date(*_: object) -> str:
    return date.today().isoformat()


def _yesterday_date(*_: object) -> str:
    return (date.today() - timedelta(days=1)).isoformat()


def _typescript_type(value: object) -> object:
    """Only a typed value knows its type in TypeScript, as its field ToTypeScriptType."""
    if is_struct(value):
        try:
            return value.go_field("ToTypeScriptType")
        except KeyError:
            return "any"
    return "any"


# and, or: the compiler evaluates their arguments only as far as needed.
LAZY = {"and": False, "or": True}

FUNCTIONS = {
    "and": Function(_not, 1),
    "or": Function(_not, 1),
    "not": Function(_not, 1, 1),
    "len": Function(_len, 1, 1),
    "index": Function(_index, 1),
    "slice": Function(_slice, 1),
    "eq": Function(compare.equal, 1),
    "ne": Function(compare.not_equal, 2, 2),
    "lt": Function(compare.less, 2, 2),
    "le": Function(compare.less_or_equal, 2, 2),
    "gt": Function(compare.greater, 2, 2),
    "ge": Function(compare.greater_or_equal, 2, 2),
    "print": Function(_print),
    "printf": Function(sprintf, 1, texts=1),
    "println": Function(_println),
    "html": Function(escaping.html),
    "js": Function(escaping.js),
    "urlquery": Function(escaping.urlquery),
    "call": Function(_call, 1),
    "json": Function(marshal, 1, 1),
    "currentDate": Function(_current_date, texts=1_000_000),
    "yesterdayDate": Function(_yesterday_date, texts=1_000_000),
    "toTypeScriptType": Function(_typescript_type, 1, 1),
}
