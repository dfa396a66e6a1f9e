"""The languages modelkit reads: one Lark grammar per file, loaded by name."""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lark import Lark


@cache
def load(name: str, *, positions: bool = True) -> "Lark":
    """The parser for `<name>.lark`, built once; its trees keep every token with its position.

    With `positions` the nodes of the trees have theirs too, which takes half as long again.
    """
    from lark import Lark

    grammar = files(__name__).joinpath(f"{name}.lark").read_text("utf-8")
    return Lark(
        grammar,
        parser="lalr",
        keep_all_tokens=True,
        maybe_placeholders=False,
        propagate_positions=positions,
    )
