"""The model folder: Ollama's layout, crash-safe and shared between processes."""

from modelkit.store.store import Store
from modelkit.store.writer import BlobWriter

__all__ = ["BlobWriter", "Store"]
