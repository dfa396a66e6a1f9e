"""Which rules run: command line, modelkit.toml, pyproject.toml."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from modelkit.errors import UsageError
from modelkit.grammar.errors import nearest
from modelkit.lint.rules import codes

_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Config:
    """Rules by code or by the beginning of a code: MK003, MK1, MK.

    The longest selector that fits a code decides; at equal length `ignore` wins. `locked` also
    reports every FROM that may mean something else tomorrow.
    """

    select: tuple[str, ...] = ("MK",)
    ignore: tuple[str, ...] = ()
    locked: bool = False

    def __post_init__(self) -> None:
        for selector in (*self.select, *self.ignore):
            _check(selector)

    def enabled(self, code: str) -> bool:
        """Whether the rule runs."""
        wanted, unwanted = (_longest(code, group) for group in (self.select, self.ignore))
        return wanted > unwanted

    def overridden(
        self, select: Iterable[str] = (), ignore: Iterable[str] = (), *, locked: bool = False
    ) -> "Config":
        """What the command line makes of it: its select replaces, its ignore adds."""
        return replace(
            self,
            select=tuple(select) or self.select,
            ignore=(*self.ignore, *ignore),
            locked=self.locked or locked,
        )

    @classmethod
    def find(cls, folder: Path) -> "Config":
        """The settings of the nearest modelkit.toml or pyproject.toml in or above `folder`.

        A pyproject.toml counts when it has a table [tool.modelkit.lint]. Raises UsageError for
        a file that cannot be read and for settings that do not exist.
        """
        here = folder.resolve()
        for parent in (here, *here.parents):
            for name, path in (("modelkit.toml", ("lint",)), ("pyproject.toml", _PYPROJECT)):
                table = _table(parent / name, path)
                if table is not None:
                    return _from_table(table, parent / name)
        return cls()


_PYPROJECT = ("tool", "modelkit", "lint")


def _longest(code: str, selectors: Iterable[str]) -> int:
    return max((len(item) for item in selectors if code.startswith(item)), default=0)


def _check(selector: str) -> None:
    if selector and any(code.startswith(selector) for code in codes()):
        return
    match = nearest(selector.upper(), codes())
    advice = f"did you mean {match}?" if match else "see docs/rules, e.g. MK003, MK1 or MK"
    raise UsageError(f"no lint rule begins with {selector!r}", hint=advice)


def _table(file: Path, path: tuple[str, ...]) -> Mapping[str, object] | None:
    """The table at `path` of a file; None when the file or, in pyproject.toml, the table is not."""
    try:
        if not file.is_file():
            return None
        with file.open("rb") as stream:
            table: object = tomllib.loads(stream.read(_MAX_BYTES).decode())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"cannot read {file}: {error}", hint="mend or remove the file") from error
    for key in path:
        found = table.get(key) if isinstance(table, dict) else None
        if found is None:
            return None if path == _PYPROJECT else {}
        table = found
    if not isinstance(table, dict):
        raise UsageError(f"{file}: {'.'.join(path)} is not a table", hint="see docs/lint.md")
    return table


def _from_table(table: Mapping[str, object], file: Path) -> Config:
    values: dict[str, tuple[str, ...] | bool] = {}
    for key, value in table.items():
        if key in ("select", "ignore") and _is_strings(value):
            values[key] = tuple(value)  # type: ignore[arg-type]
        elif key == "locked" and isinstance(value, bool):
            values[key] = value
        else:
            raise UsageError(
                f"{file}: {key} = {value!r} is not a setting of lint",
                hint="select and ignore are lists of codes, locked is true or false",
            )
    try:
        return Config(**values)  # type: ignore[arg-type]
    except UsageError as error:
        raise UsageError(f"{file}: {error.message}", hint=error.hint) from None


def _is_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
