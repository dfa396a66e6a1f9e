"""What continuous batching gains: tokens a second of 8 requests at once against one by one.

The model has random weights (llama, 512 wide, 8 layers, float16, 60 MB), made on the spot, so that
the engine and not the overhead is measured.
"""

import asyncio
import tempfile
from pathlib import Path

from bench.helpers.random_llama import Shape, write_model
from bench.helpers.timing import seconds
from modelkit.serve.runner.parent.process import RunnerProcess
from modelkit.serve.types import Generation, LoadOptions, ModelFiles, Sampling

STREAMS, TOKENS, ROUNDS = 8, 96, 3
SHAPE = Shape(width=512, feed=1536, layers=8, heads=8, kv_heads=8, vocabulary=4096, context=2048)


def main() -> None:
    """Load once, then let both ways take turns; the best round counts."""
    with tempfile.TemporaryDirectory() as folder:
        model = write_model(Path(folder) / "random.gguf", SHAPE)
        with asyncio.Runner() as loop:
            options = LoadOptions(num_ctx=512, num_parallel=STREAMS)
            runner = loop.run(RunnerProcess.start(ModelFiles(str(model)), options))
            serial = together = float("inf")
            for _ in range(ROUNDS):
                serial = min(serial, seconds(lambda: loop.run(one_by_one(runner))))
                together = min(together, seconds(lambda: loop.run(at_once(runner))))
            loop.run(runner.close())
    total = STREAMS * TOKENS
    print(f"one by one  {total / serial:7.0f} tokens/s  1.00 x")
    print(f"{STREAMS} at once   {total / together:7.0f} tokens/s  {serial / together:.2f} x")


async def one_by_one(runner: RunnerProcess) -> None:
    for stream in range(STREAMS):
        await generate(runner, stream)


async def at_once(runner: RunnerProcess) -> None:
    await asyncio.gather(*(generate(runner, stream) for stream in range(STREAMS)))


async def generate(runner: RunnerProcess, stream: int) -> None:
    """One request of its own prompt, TOKENS tokens long."""
    sampling = Sampling(temperature=0.0, num_predict=TOKENS)
    async for _ in runner.generate(Generation([5 + stream, 40, 80], sampling)):
        pass


if __name__ == "__main__":
    main()
