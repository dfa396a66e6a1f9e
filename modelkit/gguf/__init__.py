"""Reading and writing GGUF files."""

from modelkit.gguf.reader import GGUFHeader, TensorInfo, read_header

__all__ = ["GGUFHeader", "TensorInfo", "read_header"]
