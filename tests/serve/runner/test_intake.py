"""Requests become sequences; a grammar that takes long to compile holds nothing up."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from modelkit.errors import ModelkitError
from modelkit.serve.runner.frames import Generate
from modelkit.serve.runner.intake import Intake
from modelkit.serve.runner.loading import Loaded, load
from modelkit.serve.runner.sequence import Sequence
from modelkit.serve.types import Generation, Grammar, LoadOptions, ModelFiles, PromptTooLong
from tests.serve.runner.inside import the_log

_YES_OR_NO = Grammar("regex", "yes|no")


@pytest.fixture(scope="module")
def loaded(llama: Path) -> Loaded:
    options = LoadOptions(num_ctx=64, num_parallel=1, num_thread=1)
    return load(ModelFiles(str(llama)), options, the_log(), lambda _: None)


class Desk:
    """An intake, what came out of it, and a compiler that begins when `open` is set."""

    def __init__(self, loaded: Loaded) -> None:
        self.submitted: list[Sequence] = []
        self.refused: dict[int, str] = {}
        self.open = Event()
        self._compiler = ThreadPoolExecutor(1)
        self._compiler.submit(self.open.wait)
        self.intake = Intake(loaded, self.submitted.append, self._fail, self._compiler)

    def take(self, id_: int, grammar: Grammar | None = None, text: str = "hello") -> None:
        self.intake.take(Generate(id_, Generation(text, grammar=grammar, truncate=False)))

    def close(self) -> None:
        """Compile whatever waits for it."""
        self.open.set()
        self._compiler.shutdown()

    @property
    def ids(self) -> list[int]:
        return [sequence.id for sequence in self.submitted]

    def _fail(self, id_: int, error: ModelkitError) -> None:
        self.refused[id_] = str(error)


@pytest.fixture
def desk(loaded: Loaded) -> Iterator[Desk]:
    desk = Desk(loaded)
    yield desk
    desk.close()
    for sequence in desk.submitted:
        sequence.free()


def test_a_request_without_a_grammar_does_not_wait_for_those_with_one(desk: Desk) -> None:
    desk.take(1, _YES_OR_NO)
    desk.take(2)
    assert desk.ids == [2]
    desk.close()
    assert desk.ids == [2, 1]


def test_a_request_that_is_cancelled_before_its_grammar_is_compiled_never_starts(
    desk: Desk,
) -> None:
    desk.take(1, _YES_OR_NO)
    desk.take(2, _YES_OR_NO)
    assert desk.intake.cancel(1)
    assert not desk.intake.cancel(1)
    desk.close()
    assert desk.ids == [2]
    assert not desk.refused


def test_a_request_that_has_started_is_not_for_the_intake_to_cancel(desk: Desk) -> None:
    desk.take(1, _YES_OR_NO)
    desk.take(2)
    desk.close()
    assert not desk.intake.cancel(1)
    assert not desk.intake.cancel(2)


def test_a_grammar_that_is_none_is_refused_with_the_reason(desk: Desk) -> None:
    desk.take(1, Grammar("regex", "(unclosed"))
    desk.close()
    assert "cannot be" in desk.refused[1]
    assert not desk.submitted
    assert not desk.intake.cancel(1)


def test_a_prompt_that_is_too_long_is_refused_with_or_without_a_grammar(desk: Desk) -> None:
    with pytest.raises(PromptTooLong):
        desk.take(1, text="hello " * 500)
    desk.take(2, _YES_OR_NO, text="hello " * 500)
    desk.close()
    assert desk.refused[2] == str(PromptTooLong())
