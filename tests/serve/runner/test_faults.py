"""A runner that dies, a model that does not load, a server that is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path
from time import monotonic, sleep

import pytest
import uvloop

from modelkit.errors import EngineError, UsageError
from modelkit.serve.runner.parent.log import LogTail
from modelkit.serve.runner.parent.process import RunnerProcess
from modelkit.serve.types import Generation, LoadOptions, ModelFiles, Sampling
from tests.serve.runner.conftest import Start, collect

_DIED = (
    "model runner has unexpectedly stopped, this may be due to resource limitations or an internal "
    "error, check ollama server logs for details: killed by SIGKILL"
)
_LONG = Generation("ba be", Sampling(temperature=0.0, num_predict=5000))


def _is_running(pid: int) -> bool:
    """Is the process there, and not only waiting to be collected by its parent?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def _drain(runner: RunnerProcess) -> None:
    await collect(runner, _LONG)


async def test_a_killed_runner_ends_every_stream_with_the_reason(start: Start, llama: Path) -> None:
    runner = await start(llama)
    streams = [asyncio.create_task(_drain(runner)) for _ in range(12)]
    while not (await runner.stats()).decoded > 50:
        await asyncio.sleep(0.01)
    embedding = asyncio.create_task(runner.embed(["ba"] * 2000))
    await asyncio.sleep(0)
    killed = monotonic()
    os.kill(runner.pid, signal.SIGKILL)
    for task in [*streams, embedding]:
        with pytest.raises(EngineError) as caught:
            await task
        assert caught.value.message == _DIED
    assert monotonic() - killed < 2
    assert not runner.alive


async def test_a_dead_runner_refuses_at_once(start: Start, llama: Path) -> None:
    runner = await start(llama)
    os.kill(runner.pid, signal.SIGKILL)
    while runner.alive:
        await asyncio.sleep(0.01)
    with pytest.raises(EngineError, match="unexpectedly stopped"):
        await runner.tokenize("ba")
    with pytest.raises(EngineError, match="unexpectedly stopped"):
        await collect(runner, _LONG)


async def test_closing_a_busy_runner_ends_its_streams(start: Start, llama: Path) -> None:
    runner = await start(llama)
    stream = runner.generate(_LONG)
    async with aclosing(stream):
        await anext(stream)
        await runner.close()
        with pytest.raises(EngineError, match="unloaded while it was answering"):
            async for _ in stream:
                pass
    assert not _is_running(runner.pid)
    await runner.close()


async def test_a_runner_that_does_not_react_is_killed(
    start: Start, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelkit.serve.runner.parent.child.GRACE", 0.2)
    runner = await start(llama)
    os.kill(runner.pid, signal.SIGSTOP)
    await runner.close()
    assert not _is_running(runner.pid)


def test_a_runner_lives_and_dies_on_uvloop_too(llama: Path) -> None:
    async def run() -> None:
        runner = await RunnerProcess.start(ModelFiles(str(llama)), LoadOptions(num_ctx=64))
        short = Generation("ba", Sampling(num_predict=5))
        assert (await collect(runner, short))[1].tokens == 5
        os.kill(runner.pid, signal.SIGKILL)
        with pytest.raises(EngineError, match="unexpectedly stopped"):
            await _drain(runner)
        await runner.close()

    uvloop.run(run())


async def test_a_runner_leaves_no_descriptor_behind(llama: Path) -> None:
    async def once() -> int:
        runner = await RunnerProcess.start(ModelFiles(str(llama)), LoadOptions(num_ctx=64))
        await runner.close()
        return len(list(Path("/proc/self/fd").iterdir()))

    first = await once()
    assert await once() <= first  # other tests' may have been closed meanwhile


def test_a_killed_server_leaves_no_runner(llama: Path) -> None:
    script = f"""
import asyncio
from modelkit.serve.runner.parent.process import RunnerProcess
from modelkit.serve.types import Generation, LoadOptions, ModelFiles, Sampling

async def main():
    runner = await RunnerProcess.start(ModelFiles({str(llama)!r}), LoadOptions())
    sampling = Sampling(temperature=0.0, num_predict=5000)
    async for _ in runner.generate(Generation("ba", sampling)):
        print(runner.pid, flush=True)

asyncio.run(main())
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        runner = int(server.stdout.readline())
        assert _is_running(runner)
        server.kill()
        server.wait()
        deadline = monotonic() + 5
        while _is_running(runner):
            assert monotonic() < deadline, "the runner outlived its server"
            sleep(0.01)


@pytest.mark.parametrize("size", [0, 3, 100, 5000, -1000])
async def test_a_truncated_model_gives_one_line_with_the_reason(
    llama: Path, tmp_path: Path, size: int
) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(llama.read_bytes()[:size])
    with pytest.raises(EngineError) as caught:
        await RunnerProcess.start(ModelFiles(str(damaged)), LoadOptions())
    message = caught.value.message
    assert message.startswith(f"llama.cpp cannot load {damaged}: ")
    assert "gave no reason" not in message
    assert "\n" not in message


async def test_a_file_that_is_no_model_gives_one_line_with_the_reason(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.gguf"
    garbage.write_bytes(bytes(range(256)) * 64)
    with pytest.raises(EngineError, match=r"cannot load .*: .*magic"):
        await RunnerProcess.start(ModelFiles(str(garbage)), LoadOptions())


async def test_a_missing_model_or_adapter_gives_one_line(llama: Path, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.gguf")
    with pytest.raises(EngineError, match=r"cannot load .*missing\.gguf: "):
        await RunnerProcess.start(ModelFiles(missing), LoadOptions())
    with pytest.raises(EngineError, match=r"cannot load adapter .*missing\.gguf: "):
        await RunnerProcess.start(ModelFiles(str(llama), [missing]), LoadOptions())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (LoadOptions(kv_cache_type="q9"), "unknown kv_cache_type 'q9'; known are f32, f16"),
        (LoadOptions(flash_attention="maybe"), "unknown flash_attention 'maybe'"),
        (LoadOptions(num_parallel=0), "num_parallel must be between 1 and 256"),
        (LoadOptions(num_ctx=0), "option num_ctx must be at least 1"),
        (LoadOptions(num_batch=-5), "option num_batch must be at least 1"),
        (LoadOptions(num_thread=-1), "option num_thread must not be negative"),
    ],
)
async def test_bad_options_are_refused_by_name(
    llama: Path, options: LoadOptions, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        await RunnerProcess.start(ModelFiles(str(llama)), options)


@pytest.mark.parametrize("cache_type", ["f32", "bf16", "q8_0"])
async def test_the_cache_may_have_other_types(start: Start, llama: Path, cache_type: str) -> None:
    # Quantized cache types need heads of 32 values, so q8_0 runs only where they are.
    options = {"kv_cache_type": cache_type, "flash_attention": "on"}
    if cache_type == "q8_0":
        with pytest.raises(EngineError, match="cannot make a context: "):
            await start(llama, **options)
        return
    text, _ = await collect(
        await start(llama, **options),
        Generation("ba", Sampling(temperature=0.0, num_predict=20)),
    )
    assert text


async def test_a_silent_runner_is_given_up(llama: Path) -> None:
    before = monotonic()
    with pytest.raises(EngineError, match="timed out waiting for the model runner to start"):
        await RunnerProcess.start(ModelFiles(str(llama)), LoadOptions(), stall_timeout=0.01)
    assert monotonic() - before < 5


async def test_loading_reports_its_progress(llama: Path) -> None:
    seen: list[float] = []
    runner = await RunnerProcess.start(ModelFiles(str(llama)), LoadOptions(), progress=seen.append)
    await runner.close()
    assert seen
    assert all(0 <= fraction <= 1 for fraction in seen)


def test_the_reason_of_a_death_is_the_last_line_that_is_no_routine() -> None:
    log = LogTail()
    log.feed(b"I loading\nE no mem")
    log.feed(b"ory\nW a warning\nI bye\n")
    assert log.reason(-9) == "killed by SIGKILL: no memory"
    assert log.reason(3) == "exit status 3: no memory"
    assert LogTail().reason(None) == "its connection closed"
