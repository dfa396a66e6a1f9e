"""A blob's bytes on their way in."""

import contextlib
import re

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from modelkit.errors import RegistryError
from modelkit.registry.http.transport import describe

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class BlobBody:
    """Part of a blob, or all of it, on its way in: read it, then close it.

    `ranged` tells whether it is the part asked for, `start` is the offset of its first byte,
    `total` the whole blob's size as the registry says.
    """

    def __init__(self, response: BaseHTTPResponse, url: str) -> None:
        self._response = response
        self._url = url
        self.start = 0
        self.ranged = response.status == 206
        length = response.headers.get("Content-Length", "")
        self.total = int(length) if length.isdecimal() else None
        if self.ranged:
            self.start, self.total = self._content_range()

    def _content_range(self) -> tuple[int, int | None]:
        header = self._response.headers.get("Content-Range", "")
        match = _CONTENT_RANGE.fullmatch(header)
        if match is None:
            self._response.close()
            raise RegistryError(f"{self._url}: cannot read the Content-Range {header!r}")
        return int(match[1]), None if match[3] == "*" else int(match[3])

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`, as soon as any are there; none at the end.

        Raises Unreachable when the connection breaks or falls silent.
        """
        try:
            return self._response.read1(size)
        except (HTTPError, OSError, ValueError) as error:
            raise describe(error, self._url) from error

    def shutdown(self) -> None:
        """End a read that another thread waits in."""
        with contextlib.suppress(ValueError, RuntimeError, OSError):  # it ended by itself
            self._response.shutdown()

    def close(self) -> None:
        """Give the connection back when everything was read, drop it otherwise."""
        if self._response.length_remaining == 0:
            self._response.release_conn()
        else:
            self._response.close()
