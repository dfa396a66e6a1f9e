"""The recipe of a model: what a Modelfile, or a create request, asks the compiler to build."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelkit.compiler.sources import (
    exists,
    expand_path,
    looks_like_path,
    model_files,
    relative_names,
)
from modelkit.errors import InvalidName, ModelkitError, UsageError
from modelkit.modelfile import Command, Modelfile
from modelkit.names import ModelName
from modelkit.options import DEPRECATED, OPTIONS, parse_parameter

_NUMBER = r"(0|[1-9][0-9]*)"
_IDENTIFIER = r"(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER = re.compile(
    rf"v?(?P<version>{_NUMBER}(\.{_NUMBER}"
    rf"(\.{_NUMBER}(-{_IDENTIFIER}(\.{_IDENTIFIER})*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?)?)?)"
)


@dataclass(frozen=True)
class Recipe:
    """What to build, whoever asked for it; None or empty means: not given, inherit from the base.

    `files`, `adapters` and `drafts` map the name of a file inside the model's folder (slashes,
    relative) to the file on disk. `messages` holds (role, content) pairs. `config` is what to write
    into the config in place of what the weights say; with a `remote_host` there are none.
    """

    base: str | None = None
    files: Mapping[str, Path] = field(default_factory=dict)
    adapters: Mapping[str, Path] = field(default_factory=dict)
    drafts: Mapping[str, Path] = field(default_factory=dict)
    template: str | None = None
    system: str | None = None
    renderer: str | None = None
    parser: str | None = None
    requires: str | None = None
    licenses: tuple[str, ...] = ()
    parameters: Mapping[str, object] = field(default_factory=dict)
    messages: tuple[tuple[str, str], ...] = ()
    quantize: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_modelfile(cls, modelfile: Modelfile, directory: Path) -> "Recipe":
        """What `modelfile` asks for; relative paths start in `directory`.

        Raises ModelfileError, pointing at the line, for anything that cannot be built from.
        """
        builder = _Builder(modelfile, directory)
        for command in modelfile.commands:
            with _pointing_at(modelfile, command):
                builder.add(command)
        return builder.recipe()


class _Builder:
    """A recipe while the commands of its Modelfile are being read."""

    def __init__(self, modelfile: Modelfile, directory: Path) -> None:
        self.directory = directory
        self.base: str | None = None
        self.models: list[Path] = []
        self.adapters: list[Path] = []
        self.drafts: list[Path] = []
        self.model_paths: set[Path] = set()
        self.draft_paths: set[Path] = set()
        self.texts: dict[str, str | None] = {}
        self.licenses: list[str] = []
        self.parameters: dict[str, object] = {}
        self.messages: list[tuple[str, str]] = []
        self.warnings = list(modelfile.warnings)

    def recipe(self) -> Recipe:
        if self.base is not None and self.models:
            self.warnings.append(
                f"FROM {self.base} names a model, so the files of the other FROM lines are not used"
            )
        return Recipe(
            base=self.base,
            files={} if self.base is not None else relative_names(self.models),
            adapters=relative_names(self.adapters),
            drafts=relative_names(self.drafts),
            licenses=tuple(self.licenses),
            parameters=self.parameters,
            messages=tuple(self.messages),
            config={},
            warnings=tuple(self.warnings),
            **self.texts,
        )

    def add(self, command: Command) -> None:
        name, value = command.name, command.value
        match name:
            case "model":
                self._add_model(value)
            case "adapter":
                self.adapters = model_files(self._existing(value), adapter=True)
            case "draft":
                self._add_draft(self._existing(value))
            case "template" | "system" | "renderer" | "parser":
                self.texts[name] = value or None
            case "requires":
                self.texts[name] = _semver(value)
            case "license":
                self.licenses += [value] if value else []
            case "message":
                role, _, content = value.partition(": ")
                self.messages.append((role, content))
            case _:
                self._add_parameter(name, value)

    def _add_model(self, value: str) -> None:
        path = expand_path(value, self.directory)
        if not exists(path):
            self._set_base(value, path)
            return
        self._refuse_same_path(path, self.draft_paths)
        try:
            self.models += model_files(path)
        except ModelkitError as error:
            if not path.is_dir() or looks_like_path(value) or not value or ":" in value:
                raise
            raise ModelkitError(
                error.message,
                hint=f"{path} is a folder; to mean the model {value}, write {value}:latest",
            ) from None
        self.model_paths.add(path.resolve())

    def _set_base(self, value: str, path: Path) -> None:
        if looks_like_path(value):
            raise ModelkitError(
                f"no such file or folder: {path}",
                hint="check the path; a relative one starts in the folder of the Modelfile",
            )
        try:
            ModelName.parse(value)
        except InvalidName as error:
            raise ModelkitError(
                error.message,
                hint=f"FROM takes a model name, or a file or folder (there is no {path})",
            ) from None
        if self.base is not None:
            self.warnings.append(f"FROM {value} replaces FROM {self.base}")
        self.base = value

    def _existing(self, value: str) -> Path:
        path = expand_path(value, self.directory)
        if not exists(path):
            raise ModelkitError(
                f"stat {path}: no such file or directory",
                hint="ADAPTER and DRAFT take a file or a folder, never a model name",
            )
        return path

    def _add_draft(self, path: Path) -> None:
        self._refuse_same_path(path, self.model_paths)
        self.drafts += model_files(path)
        self.draft_paths.add(path.resolve())

    def _refuse_same_path(self, path: Path, others: set[Path]) -> None:
        if path.resolve() in others:
            raise ModelkitError(
                f"DRAFT must not reference the same local path as FROM: {path}",
                hint="DRAFT names a second, smaller model",
            )

    def _add_parameter(self, name: str, value: str) -> None:
        if name in DEPRECATED:
            self.warnings.append(f"parameter {name} is deprecated")
            return
        parsed = parse_parameter(name, value)
        before = self.parameters.get(name)
        if OPTIONS[name].type == "strings" and isinstance(before, list):
            before.append(value)
        else:
            self.parameters[name] = parsed


def _semver(value: str) -> str:
    version = _SEMVER.fullmatch(value)
    if not version:
        raise UsageError(
            "requires must be a valid semver (e.g. 0.14.0)",
            hint="write the version as numbers with dots; a leading v is fine",
        )
    return version["version"]


@contextmanager
def _pointing_at(modelfile: Modelfile, command: Command) -> Iterator[None]:
    """Give every failure inside the block the place of `command`."""
    try:
        yield
    except ModelkitError as error:
        raise modelfile.error(error.message, command, error.hint) from error
