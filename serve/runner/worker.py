"""The runner process: `python -m modelkit.serve.runner.worker SOCKET-FD PARENT-PID`.

Reads commands from the socket it inherited and never outlives its parent. Prints only to stderr.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def _die_with_parent(parent: int) -> None:
    """Be killed when the parent is: a runner that is busy in llama.cpp reads no socket."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def main(arguments: list[str]) -> int:
    descriptor, parent = map(int, arguments)
    _die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C reaches us too; the parent decides
    # The better part of a start, and there need not be a model for it yet.
    from modelkit.serve.runner.session import run

    return run(descriptor)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
