"""What travels between a server and its runner: length-prefixed msgpack frames over a socket."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from modelkit.serve.types import (
    Finished,
    Generation,
    LoadedModel,
    LoadOptions,
    ModelFiles,
    Piece,
    Stats,
)

GRACE = 3.0
"""Seconds that a runner which was asked to end, with SIGTERM, is given before it is killed."""
_LENGTH = 4


class Load(msgspec.Struct, tag="load"):
    """The first command, and the only one until its answer (id 0) has come."""

    files: ModelFiles
    options: LoadOptions


class Generate(msgspec.Struct, tag="generate"):
    id: int
    request: Generation


class Embed(msgspec.Struct, tag="embed"):
    id: int
    inputs: list[str]
    truncate: bool


class Rerank(msgspec.Struct, tag="rerank"):
    """Answered with one row of scores per document."""

    id: int
    query: str
    documents: list[str]
    truncate: bool


class Tokenize(msgspec.Struct, tag="tokenize"):
    id: int
    text: str
    add_special: bool
    parse_special: bool


class Detokenize(msgspec.Struct, tag="detokenize"):
    id: int
    tokens: list[int]


class GetStats(msgspec.Struct, tag="get-stats"):
    id: int


class Cancel(msgspec.Struct, tag="cancel"):
    """Ends a generate or embed command without an answer."""

    id: int


Command: TypeAlias = Load | Generate | Embed | Rerank | Tokenize | Detokenize | GetStats | Cancel


class LoadProgress(msgspec.Struct, tag="progress"):
    """A part of the weights is loaded: 0 to 1."""

    fraction: float


class Vectors(msgspec.Struct, tag="vectors"):
    """One row of native float32 per input."""

    rows: list[bytes]
    prompt_tokens: int


class Tokens(msgspec.Struct, tag="tokens"):
    tokens: list[int]


class Text(msgspec.Struct, tag="text"):
    text: str


class Failure(msgspec.Struct, tag="failure"):
    """The command failed; `kind` names the error class the server raises."""

    kind: Literal["engine", "usage", "prompt-too-long", "input-too-long"]
    message: str


Body: TypeAlias = (
    Piece | Finished | Vectors | Tokens | Text | Stats | LoadedModel | LoadProgress | Failure
)


class Answer(msgspec.Struct, array_like=True):
    """One answer to the command with this id; only generate has several."""

    id: int
    body: Body


_encoder = msgspec.msgpack.Encoder()
_commands = msgspec.msgpack.Decoder(Command)
_answers = msgspec.msgpack.Decoder(list[Answer])


def encode(message: Command | list[Answer]) -> bytes:
    """One frame, length included."""
    body = _encoder.encode(message)
    return len(body).to_bytes(_LENGTH, "big") + body


def decode_command(frame: bytes) -> Command:
    command: Command = _commands.decode(frame)
    return command


def decode_answers(frame: bytes) -> list[Answer]:
    return _answers.decode(frame)


class FrameBuffer:
    """Cuts a byte stream into frames."""

    def __init__(self) -> None:
        # The start of a frame; a long one grows here without being copied each time.
        self._start = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that are complete now."""
        if self._start:
            self._start += data
            if len(self._start) < _end(self._start, 0):
                return []
            data = bytes(self._start)
        frames, start = [], 0
        while len(data) >= (stop := _end(data, start)):
            frames.append(data[start + _LENGTH : stop])
            start = stop
        self._start = bytearray(data[start:])
        return frames


def _end(data: bytes | bytearray, start: int) -> int:
    """Where the frame that begins there ends, or at the least where its length does."""
    first = start + _LENGTH
    return first + int.from_bytes(data[start:first], "big") if len(data) >= first else first
