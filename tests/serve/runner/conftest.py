"""Tiny real models, and runners over them that are closed when the test ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import gguf
import pytest

from modelkit.convert import convert
from modelkit.serve.runner.parent.process import RunnerProcess
from modelkit.serve.types import Finished, Generation, LoadOptions, ModelFiles, Piece, Runner
from tests.serve.runner.tiny import write_bert, write_llama

_CHECKPOINT = Path(__file__).parents[3] / "fixtures" / "tiny_llama"

Start = Callable[..., Awaitable[RunnerProcess]]


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("llama") / "llama.gguf")


@pytest.fixture(scope="session")
def chat_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's chat checkpoint (byte-level BPE), converted to f32."""
    path = tmp_path_factory.mktemp("chat") / "chat.gguf"
    files = {file.name: file for file in _CHECKPOINT.iterdir()}
    with path.open("wb") as out:
        convert(files, out, "f32")
    return path


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bert(tmp_path_factory.mktemp("bert") / "bert.gguf")


@pytest.fixture(scope="session")
def ranker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ranker") / "ranker.gguf"
    return write_bert(path, pooling=gguf.PoolingType.RANK)


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts runners: `await start(path, num_ctx=256)`, with a draft model `draft=path`."""
    runners: list[RunnerProcess] = []

    async def start_one(
        path: Path, *, draft: Path | None = None, **options: object
    ) -> RunnerProcess:
        load = LoadOptions(**{"num_ctx": 512, "num_thread": 1, **options})  # type: ignore[arg-type]
        files = ModelFiles(str(path), draft=str(draft) if draft else None)
        runners.append(await RunnerProcess.start(files, load))
        return runners[-1]

    yield start_one
    for runner in runners:
        await runner.close()


async def collect(runner: Runner, request: Generation) -> tuple[str, Finished]:
    """The whole text of a generation and its last event."""
    text = ""
    async for event in runner.generate(request):
        if isinstance(event, Piece):
            text += event.text
        else:
            return text, event
    raise AssertionError("the generation ended without Finished")
