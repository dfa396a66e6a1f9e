"""The languages modelkit reads: one Lark grammar per file, loaded by name."""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lark import Lark


@cache
def load(name: str) -> "Lark":
    """The parser for `<name>.lark`, built once; its trees keep every token and every position."""
    from lark import Lark

    grammar = files(__name__).joinpath(f"{name}.lark").read_text("utf-8")
    return Lark(
        grammar,
        parser="lalr",
        keep_all_tokens=True,
        maybe_placeholders=False,
        propagate_positions=True,
    )
