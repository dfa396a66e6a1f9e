"""The Jinja chat template a GGUF carries, rendered as Hugging Face's transformers does.

Templates come with models, so with strangers: jinja2's immutable sandbox, plus bounds on loop
steps, on text size and on time.
"""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, LoopControlExtension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from modelkit.templates import TemplateError

MAX_STEPS = 250_000
MAX_TEXT = 64 << 20
MAX_SECONDS = 5.0


class ChatTemplate:
    """A compiled chat template; safe to use from several threads."""

    def __init__(self, source: str) -> None:
        """Compile; raises TemplateError when the source is not valid Jinja."""
        self._environment = _Sandbox()
        try:
            self._template = self._environment.from_string(source)
        except (jinja2.TemplateError, RecursionError) as error:
            raise TemplateError(f"the model's chat template does not compile: {error}") from error

    def render(
        self,
        messages: Sequence[Mapping[str, object]],
        *,
        bos_token: str = "",
        eos_token: str = "",
        add_generation_prompt: bool = True,
        **variables: object,
    ) -> str:
        """The prompt text; raises TemplateError when the template fails or refuses the messages."""
        variables |= {
            "messages": list(messages),
            "bos_token": bos_token,
            "eos_token": eos_token,
            "add_generation_prompt": add_generation_prompt,
        }
        self._environment.begin()
        try:
            return "".join(self._bounded(variables))
        except TemplateError:
            raise
        except (jinja2.TemplateError, RecursionError, MemoryError, *_PYTHON_ERRORS) as error:
            reason = str(error) or type(error).__name__
            raise TemplateError(f"the model's chat template failed: {reason}") from error

    def _bounded(self, variables: dict[str, object]) -> list[str]:
        pieces, size = [], 0
        for piece in self._template.generate(variables):
            size += len(piece)
            self._environment.bounded_size(size)
            pieces.append(piece)
        return pieces


@lru_cache(maxsize=32)
def chat_template(source: str) -> ChatTemplate:
    """The compiled template, kept for the next request."""
    return ChatTemplate(source)


# What a template's own mistakes raise through the sandbox: None + "x", a missing key, 1 / 0.
_PYTHON_ERRORS = (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError)


class _Sandbox(ImmutableSandboxedEnvironment):
    """The sandbox, with every loop step, concatenation and repetition counted."""

    intercepted_binops = frozenset({"*", "**", "+", "%"})

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=[LoopControlExtension, _Generation]
        )
        self._state = threading.local()
        self.filters["tojson"] = _tojson
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = _strftime_now

    def begin(self) -> None:
        """Start counting anew for this thread."""
        self._state.steps = 0
        self._state.deadline = time.monotonic() + MAX_SECONDS

    def step(self) -> str:
        """One turn of a loop; prints nothing."""
        self._state.steps += 1
        if self._state.steps > MAX_STEPS or time.monotonic() > self._state.deadline:
            raise TemplateError("the model's chat template does too much work")
        return ""

    def join(self, *parts: object) -> str:
        """The `~` operator."""
        text = "".join(map(str, parts))
        self.bounded_size(len(text))
        return text

    def bounded_size(self, size: float) -> None:
        """Raise TemplateError when a template builds something larger than MAX_TEXT."""
        if size > MAX_TEXT:
            raise TemplateError("the model's chat template makes too long a text")

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        return _Counting().visit(tree)  # type: ignore[no-any-return]

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        self.bounded_size(_result_size(operator, left, right))
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        # "x".ljust(10**10): no method of a built-in type needs a number this large.
        if isinstance(getattr(obj, "__self__", None), str | bytes | list):
            self.bounded_size(max((a for a in args if isinstance(a, int)), default=0))
        return super().call(context, obj, *args, **kwargs)


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

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _method(name: str, arguments: list[nodes.Expr]) -> nodes.Call:
    # An attribute of the environment, which no variable of the template can hide.
    return nodes.Call(nodes.EnvironmentAttribute(name), arguments, [], None, None)


def _result_size(operator: str, left: Any, right: Any) -> float:
    sized = (str, bytes, list, tuple)
    if operator == "*" and isinstance(left, int) and isinstance(right, sized):
        return left * len(right)
    if operator == "*" and isinstance(left, sized) and isinstance(right, int):
        return len(left) * right
    if operator == "+" and isinstance(left, sized) and isinstance(right, sized):
        return len(left) + len(right)
    if operator == "**" and isinstance(left, int) and isinstance(right, int):
        return left.bit_length() * right
    if operator == "%" and isinstance(left, str) and "%" in left:
        # "%999999999d" % 1 pads without limit; templates have join, ~ and format for text.
        raise SecurityError("% formatting is not available")
    return 0


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # Unlike jinja2's own filter: no HTML escapes, and the given key order.
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(f"the model's chat template refused the messages: {message}")


def _strftime_now(pattern: str) -> str:
    return datetime.now().astimezone().strftime(pattern)
