"""Where chat templates run: jinja2's immutable sandbox, with Hugging Face's additions and bounds.

Templates come with models, so with strangers. Loop steps, time, the size of every text that a
template builds and the sum of them all are bounded.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import wraps
from typing import Any, NoReturn

from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, LoopControlExtension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from modelkit.templates import TemplateError
from modelkit.templates.sizes import (
    MAX_TEXT,
    concrete,
    format_size,
    operator_size,
    printed_size,
    product_size,
    replacement_size,
    size_of,
)

MAX_STEPS = 250_000
MAX_SECONDS = 5.0
MAX_WORK = 256 << 20
"""Characters of all texts that one rendering builds, those it throws away included."""

# What these make is larger than what they are given; for others the result is no larger.
_GROWING_METHODS = frozenset({"ljust", "rjust", "center", "zfill", "expandtabs", "join"})
_GROWING_FILTERS = ("center", "indent", "batch", "slice", "join")
# These turn whatever they are given into text first.
_TEXT_FILTERS = (
    *("capitalize", "e", "escape", "float", "forceescape", "int", "lower", "safe", "string"),
    *("title", "trim", "truncate", "upper", "urlencode", "wordcount"),
)
# Slow on long texts, and no business of a prompt.
_LEFT_OUT = ("pprint", "striptags", "sum", "urlize", "wordwrap", "xmlattr")


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of a template, with every loop step and every growing text counted."""

    intercepted_binops = frozenset({"*", "**", "+", "%"})

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=self._printed,
            extensions=[LoopControlExtension, _Generation],
        )
        self._state = threading.local()
        for name in _TEXT_FILTERS:
            self.filters[name] = self._guarded(self.filters[name], printed_size)
        for name in _GROWING_FILTERS:
            self.filters[name] = self._guarded(self.filters[name], product_size)
        self.filters["replace"] = self._guarded(self.filters["replace"], replacement_size)
        self.filters["format"] = self._guarded(self.filters["format"], format_size)
        self.filters["tojson"] = self._guarded(_tojson, printed_size)
        for name in _LEFT_OUT:
            del self.filters[name]
        del self.globals["lipsum"]
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = _strftime_now

    def begin(self) -> None:
        """Start counting anew for this thread."""
        self._state.steps = 0
        self._state.work = 0
        self._state.deadline = time.monotonic() + MAX_SECONDS

    def step(self) -> str:
        """One turn of a loop; prints nothing."""
        self._state.steps += 1
        if self._state.steps > MAX_STEPS or time.monotonic() > self._state.deadline:
            raise TemplateError("the model's chat template does too much work")
        return ""

    def bounded(self, size: float) -> None:
        """Raise TemplateError when a text is larger than MAX_TEXT."""
        if size > MAX_TEXT:
            raise TemplateError("the model's chat template makes too long a text")

    def spend(self, size: float) -> None:
        """Account for a text before it is built; raises TemplateError when it is one too many."""
        self.bounded(size)
        self._state.work = getattr(self._state, "work", 0) + size
        if self._state.work > MAX_WORK:
            raise TemplateError("the model's chat template does too much work")

    def concat(self, parts: Iterable[str]) -> str:
        """Join what a block, a macro or a whole template printed."""
        pieces = list(parts)
        self.spend(sum(map(len, pieces)))
        return "".join(pieces)

    def join(self, *parts: object) -> str:
        """The `~` operator."""
        return self.concat([str(self._printed(part)) for part in parts])

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        self.spend(operator_size(operator, left, right))
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        owner, name = getattr(obj, "__self__", None), getattr(obj, "__name__", "")
        if isinstance(owner, str | bytes):
            args = tuple(map(concrete, args))
            given = (owner, *args, *kwargs.values())
            if name in _GROWING_METHODS:
                self.spend(product_size(*given))
            elif name == "replace":
                self.spend(replacement_size(*given))
            elif name == "translate":
                raise SecurityError("translate is not available")
        return super().call(context, obj, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        wrapped = super().wrap_str_format(value)
        if wrapped is None:
            return None
        return self._guarded(wrapped, lambda *given: format_size(value.__self__, *given))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        return _Counting().visit(tree)  # type: ignore[no-any-return]

    def _printed(self, value: Any) -> Any:
        if not isinstance(value, str):
            self.bounded(printed_size(value))
        return value

    def _guarded(
        self, function: Callable[..., Any], size: Callable[..., float]
    ) -> Callable[..., Any]:
        @wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            args = tuple(map(concrete, args))
            # The evaluation context, which some filters get first, has no size and does not count.
            self.spend(size(*(item for item in (*args, *kwargs.values()) if size_of(item) >= 0)))
            return function(*args, **kwargs)

        return guarded


class _Counting(NodeTransformer):
    """Puts a step at the head of each loop and routes `~` through a bounded join."""

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802
        self.generic_visit(node)
        node.body.insert(0, nodes.ExprStmt(_method("step", []), lineno=node.lineno))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Call:  # noqa: N802
        self.generic_visit(node)
        return _method("join", node.nodes)


class _Generation(Extension):
    """`{% generation %}…{% endgeneration %}` marks training text; it prints its body."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Scope:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


def _method(name: str, arguments: list[nodes.Expr]) -> nodes.Call:
    # An attribute of the environment, which no variable of the template can hide.
    return nodes.Call(nodes.EnvironmentAttribute(name), arguments, [], None, None)


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # Unlike jinja2's own filter: no HTML escapes, and the given key order.
    if indent is not None and not 0 <= indent <= 64:
        raise SecurityError("an indent is 0 to 64 columns")
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(f"the model's chat template refused the messages: {message}")


def _strftime_now(pattern: str) -> str:
    return datetime.now().strftime(pattern)
