"""Where a command works: on the local store, or on a server over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import click

from modelkit.address import Address
from modelkit.errors import ModelNotFound, NotFound
from modelkit.manifest import Manifest, MediaType, ModelConfig
from modelkit.names import ModelName
from modelkit.settings import setting
from modelkit.store import Store

if TYPE_CHECKING:
    from modelkit.cli.server import Server
    from modelkit.compiler.recipe import Recipe
    from modelkit.progress import Report


@dataclass(frozen=True)
class Listed:
    """One row of `list`; `size` in bytes, `modified_at` in seconds since 1970.

    remote_host: where a model is that has no weights here.
    """

    name: str
    digest: str
    size: int
    modified_at: float
    remote_host: str = ""


class Backend(Protocol):
    """What the commands that know `--host` ask for."""

    def models(self) -> list[Listed]:
        """Every model, newest first."""

    def show(self, name: ModelName, *, verbose: bool) -> dict[str, Any]:
        """The object that POST /api/show answers with."""

    def create(self, recipe: Recipe, name: ModelName, report: Report) -> None:
        """Build a model."""

    def pull(self, name: ModelName, report: Report, *, insecure: bool) -> None:
        """Get a model from its registry."""

    def push(self, name: ModelName, report: Report, *, insecure: bool) -> None:
        """Send a model to its registry."""

    def copy(self, source: ModelName, target: ModelName) -> None:
        """Give a model a second name."""

    def delete(self, name: ModelName) -> None:
        """Remove a model."""


def backend(ctx: click.Context) -> Backend:
    """The server that --host, MODELKIT_HOST or OLLAMA_HOST names, else the local store."""
    return Remote(server(ctx)) if names_server(ctx) else Local(Store.default())


def names_server(ctx: click.Context) -> bool:
    """Whether --host, MODELKIT_HOST or OLLAMA_HOST names a server."""
    return bool(ctx.obj["host"] or setting("HOST"))


def server(ctx: click.Context) -> Server:
    """The server for commands that always need one; the default address if none is named."""
    from modelkit.cli.server import Server

    host = ctx.obj["host"]
    return Server((Address.parse(host) if host else Address.default()).url)


class Local:
    """The local store; needs no server."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def models(self) -> list[Listed]:
        found = [self._listed(name) for name in self.store.names()]
        return sorted(found, key=lambda item: -item.modified_at)

    def _listed(self, name: ModelName) -> Listed:
        manifest = self.store.manifest(name)
        modified_at = self.store.modified_at(name)
        away = "" if manifest.layers_of(MediaType.MODEL) else self._remote_host(manifest)
        return Listed(name.short, manifest.digest.hex, manifest.size, modified_at, away)

    def _remote_host(self, manifest: Manifest) -> str:
        if manifest.config is None:
            return ""
        return ModelConfig.parse(self.store.read_blob(manifest.config.digest)).remote_host

    def show(self, name: ModelName, *, verbose: bool) -> dict[str, Any]:
        from modelkit.model import Model
        from modelkit.model.description import describe

        return describe(Model.open(self.store, name), verbose=verbose)

    def create(self, recipe: Recipe, name: ModelName, report: Report) -> None:
        from modelkit.compiler.build import build
        from modelkit.registry.transfer import pull
        from modelkit.registry.trust.policy import Policy

        def fetch(base: ModelName) -> None:
            pull(base, self.store, report=report, policy=Policy.default())

        build(recipe, name, self.store, report=report, pull=fetch)

    def pull(self, name: ModelName, report: Report, *, insecure: bool) -> None:
        from modelkit.registry.transfer import pull
        from modelkit.registry.trust.policy import Policy

        pull(name, self.store, report=report, insecure=insecure, policy=Policy.default())

    def push(self, name: ModelName, report: Report, *, insecure: bool) -> None:
        from modelkit.registry.transfer import push

        push(name, self.store, report=report, insecure=insecure)

    def copy(self, source: ModelName, target: ModelName) -> None:
        self.store.copy(source, target)

    def delete(self, name: ModelName) -> None:
        self.store.delete(name)


class Remote:
    """A server, over Ollama's HTTP API: it holds the store."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def models(self) -> list[Listed]:
        from datetime import datetime

        items = self.server.call("GET", "/api/tags")["models"]
        return [
            Listed(
                item["name"],
                item["digest"],
                item["size"],
                datetime.fromisoformat(item["modified_at"]).timestamp(),
                item.get("remote_host", ""),
            )
            for item in items
        ]

    def show(self, name: ModelName, *, verbose: bool) -> dict[str, Any]:
        return self.server.call("POST", "/api/show", {"model": name.short, "verbose": verbose})

    def create(self, recipe: Recipe, name: ModelName, report: Report) -> None:
        from modelkit.cli.upload import create_request

        body = create_request(recipe, name, self.server, report)
        self.server.follow("/api/create", body, report)

    def pull(self, name: ModelName, report: Report, *, insecure: bool) -> None:
        body = {"model": name.short, "insecure": insecure}
        self.server.follow("/api/pull", body, report)

    def push(self, name: ModelName, report: Report, *, insecure: bool) -> None:
        body = {"model": name.short, "insecure": insecure}
        self.server.follow("/api/push", body, report)

    def copy(self, source: ModelName, target: ModelName) -> None:
        body = {"source": source.short, "destination": target.short}
        self.server.call("POST", "/api/copy", body)

    def delete(self, name: ModelName) -> None:
        try:
            self.server.call("DELETE", "/api/delete", {"model": name.short})
        except NotFound:
            raise ModelNotFound(name.short) from None
