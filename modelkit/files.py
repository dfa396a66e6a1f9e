"""Writing a file so that nobody ever sees half of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from modelkit.errors import store_errors


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A binary file that becomes `path` at a clean exit and vanishes after an exception.

    Raises StoreError when the folder cannot be written or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with store_errors("write", path), temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with store_errors("write", path):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
