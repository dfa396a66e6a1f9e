"""What continuous batching gains: tokens a second of 8 requests at once against one by one.

The model has random weights (llama, 512 wide, 8 layers, float16, 60 MB), made on the spot, so that
the engine and not the overhead is measured.
"""

import asyncio
import tempfile
from pathlib import Path

import numpy as np
from timing import seconds

from modelkit.serve.runner.process import RunnerProcess
from modelkit.serve.types import Generation, LoadOptions, ModelFiles, Sampling

STREAMS, TOKENS, ROUNDS = 8, 96, 3
WIDTH, FEED, LAYERS, HEADS, VOCABULARY = 512, 1536, 8, 8, 4096


def main() -> None:
    """Load once, then let both ways take turns; the best round counts."""
    with tempfile.TemporaryDirectory() as folder:
        model = write_model(Path(folder) / "random.gguf")
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


def write_model(path: Path) -> Path:
    """Random weights that never end a text: the end token's output row is zero."""
    import gguf

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(2048)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("llama")
    tokens = ["<unk>", "<s>", "</s>", *(f"▁w{number}" for number in range(3, VOCABULARY))]
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * VOCABULARY)
    writer.add_token_types([2, 3, 3] + [1] * (VOCABULARY - 3))
    random = np.random.default_rng(0)

    def add(name: str, *shape: int) -> None:
        values = random.standard_normal(shape, dtype=np.float32) / shape[-1] ** 0.5
        writer.add_tensor(f"{name}.weight", values.astype(np.float16))

    add("token_embd", VOCABULARY, WIDTH)
    output = random.standard_normal((VOCABULARY, WIDTH), dtype=np.float32).astype(np.float16)
    output[:3] = 0
    writer.add_tensor("output.weight", output)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{block}.{norm}.weight", np.ones(WIDTH, np.float32))
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"{block}.{part}", WIDTH, WIDTH)
        for part in ("ffn_gate", "ffn_up"):
            add(f"{block}.{part}", FEED, WIDTH)
        add(f"{block}.ffn_down", WIDTH, FEED)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


if __name__ == "__main__":
    main()
