"""The runner's end of the socket to the server."""

from __future__ import annotations

import os
import socket
import threading
from typing import TYPE_CHECKING

from modelkit.errors import ModelkitError, UsageError
from modelkit.serve.runner.frames import (
    Answer,
    Body,
    Command,
    Failure,
    FrameBuffer,
    decode_command,
    encode,
)
from modelkit.serve.types import InputTooLong, PromptTooLong

if TYPE_CHECKING:
    from collections.abc import Iterator


class Connection:
    """The socket to the parent; the process ends when the parent closes it. Thread-safe sending."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._lock = threading.Lock()

    def send(self, answers: list[Answer]) -> None:
        """All of them in one frame."""
        data = encode(answers)
        try:
            with self._lock:
                self._socket.sendall(data)
        except OSError:
            os._exit(0)

    def answer(self, id_: int, body: Body) -> None:
        """One answer to the command with this id."""
        self.send([Answer(id_, body)])

    def fail(self, id_: int, error: ModelkitError) -> None:
        """The server raises the error there."""
        self.answer(id_, _failure(error))

    def commands(self) -> Iterator[Command]:
        """What the server wants, until it closes the socket."""
        frames = FrameBuffer()
        while data := self._receive():
            for frame in frames.feed(data):
                yield decode_command(frame)

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(1 << 16)
        except OSError:
            return b""


def _failure(error: ModelkitError) -> Failure:
    match error:
        case PromptTooLong():
            return Failure("prompt-too-long", error.message)
        case InputTooLong():
            return Failure("input-too-long", error.message)
        case UsageError():
            return Failure("usage", error.message)
        case _:
            return Failure("engine", error.message)
