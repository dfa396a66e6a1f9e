"""The process that reads one page: `python -m modelkit.serve.web.worker SECONDS`.

The address comes on standard input, a Page or a Failure goes to standard output. Whatever a page
or its server does, the process ends after SECONDS and has no more memory than MEMORY.
"""

import resource
import signal
import sys

import msgspec

from modelkit.serve.web.fetch import fetch
from modelkit.serve.web.page import Failure, PageError
from modelkit.serve.web.text import page_of

MEMORY = 1 << 30
"""Bytes of address space; a page is at most a hundredth of it."""
MAX_ANSWER = 32 << 20
"""Bytes that the text and the links of a page may take: more than it had only by ill will."""


def main(arguments: list[str]) -> int:
    """Read the page; the signal that ends a late process is the operating system's to send."""
    signal.setitimer(signal.ITIMER_REAL, float(arguments[0]))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    sys.stdout.buffer.write(_answer(sys.stdin.buffer.read().decode()))
    return 0


def _answer(url: str) -> bytes:
    try:
        answer = msgspec.json.encode(page_of(fetch(url)))
        if len(answer) > MAX_ANSWER:
            raise PageError(502, f"the text of {url} is longer than {MAX_ANSWER} bytes")
    except PageError as error:
        return msgspec.json.encode(
            Failure(status=error.status, message=error.message, hint=error.hint)
        )
    return answer


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
