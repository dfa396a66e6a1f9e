"""The rules, one file each: `mk003_duplicate_instruction.py` is MK003, duplicate-instruction.

A rule is a module with SEVERITY, check(context) and a docstring, which is its documentation page.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING

from modelkit.lint.diagnostic import Finding, Severity

if TYPE_CHECKING:
    from modelkit.lint.context import Context


@dataclass(frozen=True)
class Rule:
    """One rule; `documentation` is Markdown, its first line a sentence about the rule."""

    code: str
    name: str
    severity: Severity
    check: Callable[["Context"], Iterable[Finding]]
    documentation: str

    @property
    def summary(self) -> str:
        """One sentence, without its full stop."""
        return self.documentation.partition("\n")[0].rstrip(".")


@cache
def codes() -> tuple[str, ...]:
    """The codes of all rules, in order; imports no rule."""
    return tuple(_modules())


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule, in the order of the codes."""
    return tuple(_rule(code, module) for code, module in _modules().items())


def _modules() -> dict[str, str]:
    names = sorted(file.name for file in files(__name__).iterdir())
    found = (name.removesuffix(".py") for name in names if name.startswith("mk"))
    return {name.partition("_")[0].upper(): name for name in found}


def _rule(code: str, module: str) -> Rule:
    rule = import_module(f"{__name__}.{module}")
    name = module.partition("_")[2].replace("_", "-")
    return Rule(code, name, rule.SEVERITY, rule.check, rule.__doc__ or "")
