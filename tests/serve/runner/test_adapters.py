"""LoRA adapters in a real runner."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

from modelkit.serve.runner.process import RunnerProcess
from modelkit.serve.types import Generation, LoadOptions, ModelFiles, Sampling
from tests.serve.runner.conftest import collect

WIDTH, RANK = 64, 2


def write_adapter(path: Path, *, strength: float) -> str:
    """A LoRA for the second layer of the tiny llama's attention."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", strength)
    random = np.random.default_rng(1)
    for name, shape in (("lora_a", (RANK, WIDTH)), ("lora_b", (WIDTH, RANK))):
        values = random.standard_normal(shape).astype(np.float32)
        writer.add_tensor(f"blk.1.attn_output.weight.{name}", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return str(path)


async def answer(llama: Path, adapters: list[str]) -> str:
    runner = await RunnerProcess.start(ModelFiles(str(llama), adapters), LoadOptions(num_ctx=512))
    try:
        sampling = Sampling(temperature=0.0, num_predict=16)
        text, _ = await collect(runner, Generation("ba be bi", sampling))
        return text
    finally:
        await runner.close()


async def test_adapters_change_what_the_model_says(llama: Path, tmp_path: Path) -> None:
    plain = await answer(llama, [])
    nothing = write_adapter(tmp_path / "nothing.gguf", strength=1e-9)
    much = write_adapter(tmp_path / "much.gguf", strength=8.0)
    assert await answer(llama, [nothing]) == plain
    assert await answer(llama, [much]) != plain
    assert await answer(llama, [nothing, much]) == await answer(llama, [much])
