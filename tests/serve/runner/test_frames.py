"""Frames survive any way the socket cuts them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelkit.serve.runner.frames import (
    Answer,
    Body,
    Cancel,
    Command,
    Embed,
    Failure,
    FrameBuffer,
    Generate,
    Text,
    Vectors,
    decode_answers,
    decode_command,
    encode,
)
from modelkit.serve.types import Finished, Generation, Piece, Sampling

_bodies: st.SearchStrategy[Body] = st.one_of(
    st.builds(Piece, text=st.text()),
    st.builds(Text, text=st.text()),
    st.builds(Vectors, rows=st.lists(st.binary()), prompt_tokens=st.integers(0, 9)),
    st.just(Finished("stop", 1, 2, 3, 4, [5])),
    st.just(Failure("engine", "no memory")),
)


_groups = st.lists(st.lists(st.builds(Answer, st.integers(0, 1 << 40), _bodies)))


@given(_groups, st.integers(1, 50))
def test_answers_arrive_whole_and_in_order(answers: list[list[Answer]], size: int) -> None:
    data = b"".join(map(encode, answers))
    buffer = FrameBuffer()
    received = [
        decode_answers(frame)
        for start in range(0, len(data), size)
        for frame in buffer.feed(data[start : start + size])
    ]
    assert received == answers


def test_commands_keep_their_kind_and_their_options() -> None:
    commands: list[Command] = [
        Generate(1, Generation([1, 2], Sampling(stop=["a"], temperature=0.0), logprobs=3)),
        Generate(2, Generation("text")),
        Embed(3, ["x"], truncate=False),
        Cancel(4),
    ]
    buffer = FrameBuffer()
    frames = buffer.feed(b"".join(map(encode, commands)))
    assert [decode_command(frame) for frame in frames] == commands
