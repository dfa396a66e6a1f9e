"""Building on a server: the recipe's files go up as blobs, the rest as POST /api/create."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelkit.cli.server import Server
from modelkit.compiler.recipe import Recipe
from modelkit.digest import Digest
from modelkit.errors import UsageError
from modelkit.names import ModelName
from modelkit.progress import Progress, Report


def create_request(
    recipe: Recipe, name: ModelName, server: Server, report: Report
) -> dict[str, Any]:
    """Upload what the recipe names on this disk; returns the body of /api/create."""
    if recipe.drafts:
        raise UsageError("DRAFT cannot be built on a server yet", hint="build it without --host")
    body = {
        "model": name.short,
        "from": recipe.base,
        "files": _upload(recipe.files, server, report),
        "adapters": _upload(recipe.adapters, server, report),
        "template": recipe.template,
        "system": recipe.system,
        "renderer": recipe.renderer,
        "parser": recipe.parser,
        "requires": recipe.requires,
        "license": list(recipe.licenses),
        "parameters": dict(recipe.parameters),
        "messages": [{"role": role, "content": text} for role, text in recipe.messages],
        "quantize": recipe.quantize,
    }
    return {key: value for key, value in body.items() if value}


def _upload(files: Mapping[str, Path], server: Server, report: Report) -> dict[str, str]:
    return {name: str(_send(path, server, report)) for name, path in files.items()}


def _send(path: Path, server: Server, report: Report) -> Digest:
    import hashlib

    with path.open("rb") as file:
        digest = Digest(hashlib.file_digest(file, "sha256").hexdigest())
    report(Progress(f"copying file {digest}"))
    server.upload(digest, path)
    return digest
