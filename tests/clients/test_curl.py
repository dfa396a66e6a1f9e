"""curl: a command for every endpoint that Ollama's documentation shows, pasted into a shell."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelkit.names import ModelName
from modelkit.store import Store
from tests.clients.commands.chat import CHAT
from tests.clients.commands.compatible import COMPATIBLE
from tests.clients.commands.embeddings import EMBEDDINGS
from tests.clients.commands.generate import GENERATE
from tests.clients.commands.models import MADE, MODELS, SENT, UPLOADED
from tests.clients.pasted import CURLRC, Pasted
from tests.processes import serving

Paste = Callable[[Pasted], None]


@pytest.fixture(scope="module")
def paste(clients_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Paste]:
    """Runs commands beside `tiny.gguf`, a file that the server does not have, and a registry."""
    folder = tmp_path_factory.mktemp("curl")
    models = folder / "models"
    shutil.copytree(clients_store.root, models, copy_function=os.link)
    _take_away(Store(models), "endless", folder / "tiny.gguf")
    (folder / ".curlrc").write_text(CURLRC)
    kept = str(folder / "registry")
    with (
        serving(folder, "registry", "serve", "--port", "0", "--root", kept) as registry,
        serving(folder, "serve", "--listen", "127.0.0.1:0", MODELKIT_MODELS=str(models)) as url,
    ):
        yield lambda pasted: pasted.run(folder, url, registry.removeprefix("http://"))


def _take_away(store: Store, name: str, destination: Path) -> None:
    """Move a model's GGUF out of the store."""
    model = ModelName.parse(name)
    blob = store.blob_path(store.manifest(model).layers[0].digest)
    blob.rename(destination)
    store.manifest_path(model).unlink()


def name(pasted: Pasted) -> str:
    """The path of the command's last request and what it is about."""
    return f"{pasted.command.split('localhost:11434')[-1].split()[0]} {pasted.about}"


@pytest.mark.parametrize("pasted", [*GENERATE, *CHAT, *EMBEDDINGS, *MODELS, *COMPATIBLE], ids=name)
def test_a_pasted_command_is_answered(pasted: Pasted, paste: Paste) -> None:
    paste(pasted)


@pytest.mark.parametrize("commands", [MADE, UPLOADED, SENT], ids=["made", "uploaded", "sent"])
def test_commands_pasted_one_after_the_other_are_answered(
    commands: list[Pasted], paste: Paste
) -> None:
    for pasted in commands:
        paste(pasted)
