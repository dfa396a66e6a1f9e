"""Reading and writing GGUF files."""

from modelkit.gguf.reader import GGUFHeader, TensorInfo, read_header
from modelkit.gguf.writer import GGUFWriter, SupportsWrite, TensorPlan

__all__ = ["GGUFHeader", "GGUFWriter", "SupportsWrite", "TensorInfo", "TensorPlan", "read_header"]
