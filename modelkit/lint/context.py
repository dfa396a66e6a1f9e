"""What a rule may ask: the document, the folder it stands in, the base model, the template."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from modelkit.compiler.sources import exists, expand_path
from modelkit.errors import ModelkitError, UsageError
from modelkit.lint.base import Base, find_base
from modelkit.lint.document import Document, Entry
from modelkit.lint.ignores import Ignore
from modelkit.lint.template import TemplateView
from modelkit.options import OPTIONS, parse_parameter


@dataclass(frozen=True)
class Context:
    """One file under check, with the codes of the rules that run.

    `ignores` is there for the rule about ignore comments, which runs last.
    """

    document: Document
    folder: Path
    locked: bool = False
    ran: frozenset[str] = frozenset()
    ignores: tuple[Ignore, ...] = ()
    _paths: dict[str, Path | None] = field(default_factory=dict, repr=False)

    @cached_property
    def base(self) -> Base | None:
        """The model of the FROM that counts."""
        entry = self.document.last("model")
        return None if entry is None else find_base(entry.value, self.folder)

    @cached_property
    def template(self) -> TemplateView | None:
        """The TEMPLATE that counts, unless it is empty."""
        entry = self.document.last("template")
        return TemplateView(entry.node) if entry and entry.value.strip() else None

    def path(self, value: str) -> Path | None:
        """The file or folder that `value` names, if there is one; never raises."""
        if value not in self._paths:
            self._paths[value] = _find(value, self.folder)
        return self._paths[value]

    def parsed_parameters(self) -> list[tuple[Entry, object]]:
        """The parameters whose name and value are valid, with the value; `stop` gives a string."""
        found: list[tuple[Entry, object]] = []
        for entry in self.document.parameters():
            if entry.name not in OPTIONS:
                continue
            try:
                value = parse_parameter(entry.name, entry.value)
            except UsageError:
                continue
            found.append((entry, entry.value if isinstance(value, list) else value))
        return found

    def numbers(self) -> Mapping[str, tuple[Entry, float]]:
        """The numeric parameters that count: of several, the last."""
        return {
            entry.name: (entry, value)
            for entry, value in self.parsed_parameters()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }


def _find(value: str, folder: Path) -> Path | None:
    try:
        path = expand_path(value, folder)
        return path if exists(path) else None
    except (ModelkitError, OSError, ValueError):
        return None
