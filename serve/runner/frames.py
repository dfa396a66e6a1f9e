"""What travels between a server and its runner: length-prefixed msgpack frames over a socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

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

if TYPE_CHECKING:
    from collections.abc import Iterator

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
_answers = msgspec.msgpack.Decoder(Answer)


def encode(message: Command | Answer) -> bytes:
    """One frame, length included."""
    body = _encoder.encode(message)
    return len(body).to_bytes(_LENGTH, "big") + body


def decode_command(frame: bytes) -> Command:
    command: Command = _commands.decode(frame)
    return command


def decode_answer(frame: bytes) -> Answer:
    return _answers.decode(frame)


class FrameBuffer:
    """Cuts a byte stream into frames."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The frames that are complete now."""
        self._data += data
        start = 0
        while len(self._data) - start >= _LENGTH:
            stop = start + _LENGTH + int.from_bytes(self._data[start : start + _LENGTH], "big")
            if len(self._data) < stop:
                break
            yield bytes(self._data[start + _LENGTH : stop])
            start = stop
        del self._data[:start]
