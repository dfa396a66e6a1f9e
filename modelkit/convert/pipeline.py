"""A checkpoint in, a GGUF file out: plan everything, write the header, stream the tensors."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from gguf import GGML_QUANT_VERSION, LlamaFileType

from modelkit.convert import arch
from modelkit.convert.checkpoint import Checkpoint
from modelkit.convert.config import Config
from modelkit.convert.plan import PlannedTensor, output_type, plan_tensors
from modelkit.convert.sampling import sampling_metadata
from modelkit.convert.stream import Streamer
from modelkit.convert.tokenizer import tokenizer_metadata
from modelkit.gguf.types import Value
from modelkit.gguf.writer import GGUFWriter, SupportsWrite
from modelkit.progress import Progress, Report

STATUS = "converting model"
# general.file_type of a file whose matrices have this type
_FILE_TYPES = {
    "F32": LlamaFileType.ALL_F32,
    "F16": LlamaFileType.MOSTLY_F16,
    "BF16": LlamaFileType.MOSTLY_BF16,
}


def run(files: Mapping[str, Path], out: SupportsWrite, outtype: str, report: Report) -> None:
    """See `modelkit.convert.convert`."""
    checkpoint = Checkpoint(files)
    values = Config(checkpoint.json("config.json"))
    architecture = arch.find(values)
    config = values.with_defaults(architecture.defaults)
    architecture.check(config)
    kind = output_type(checkpoint, outtype)
    tensors = plan_tensors(architecture, config, checkpoint, kind)
    # Nothing that depends on the folder, the date or the model card: the same weights give the
    # same bytes everywhere
    metadata = {
        "general.architecture": Value.string(architecture.name),
        "general.type": Value.string("model"),
        **sampling_metadata(checkpoint),
        **architecture.metadata(config, checkpoint),
        "general.file_type": Value.uint32(_FILE_TYPES[kind.name]),
        "general.quantization_version": Value.uint32(GGML_QUANT_VERSION),
        **tokenizer_metadata(checkpoint, config),
    }
    write(out, metadata, tensors, report, STATUS)


def write(
    out: SupportsWrite,
    metadata: Mapping[str, Value],
    tensors: Sequence[PlannedTensor],
    report: Report,
    status: str,
) -> None:
    """Write a GGUF file, front to back, and report each tensor under `status`."""
    writer = GGUFWriter(out, metadata, [tensor.plan for tensor in tensors])
    total = sum(tensor.plan.nbytes for tensor in tensors)
    streamer = Streamer()
    completed = 0
    for tensor in tensors:
        report(Progress(status, total=total, completed=completed))
        writer.write_tensor(streamer.chunks(tensor))
        completed += tensor.plan.nbytes
    writer.finish()
    report(Progress(status, total=total, completed=completed))
    if streamer.overflows:
        report(
            Progress(
                f"warning: {streamer.overflows} values are too large for f16 and became infinite; "
                "use bf16 or f32"
            )
        )
