"""Guesses that ride along change how fast a text comes, never the text."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from modelkit.errors import EngineError
from modelkit.serve.runner.cache.slots import Slots
from modelkit.serve.runner.llama.context import Context
from modelkit.serve.runner.llama.log import Log
from modelkit.serve.runner.llama.model import Model
from modelkit.serve.runner.parent.process import RunnerProcess
from modelkit.serve.runner.sequence import Sequence as Text
from modelkit.serve.runner.speculation.drafter import Drafter, Writer
from modelkit.serve.runner.steps import Stepper
from modelkit.serve.types import Finished, Generation, Grammar, Piece, Sampling
from tests.serve.runner.conftest import Start, collect
from tests.serve.runner.tiny import write_llama

_MOST = 5
# So that sums in another order, which depends on what is in a batch, change no token.
_EXACT = {"kv_cache_type": "f32", "flash_attention": "off"}
_PROMPTS = ["ba be", "bi", "da de di do du", "fa", "ga ge gi go", "ka ke", "la le li", "ma " * 40]


class _Guesser(Drafter):
    """Knows how each text goes on and lies at random places: every pattern of right and wrong."""

    def __init__(self, futures: dict[int, list[int]], seed: int) -> None:
        super().__init__(_MOST)
        self._futures = futures
        self._random = random.Random(seed)
        self.right = self.wrong = 0

    def propose(self, writers: Sequence[Writer], *, size: int, room: int) -> dict[int, list[int]]:
        guesses = {writer.slot: self._guess(writer) for writer in writers}
        return {slot: found for slot, found in guesses.items() if found}

    def verified(self, slot: int, guessed: int, accepted: int) -> None:
        self.right += accepted
        self.wrong += guessed - accepted

    def _guess(self, writer: Writer) -> list[int]:
        start = len(writer.tokens)
        count = min(self._random.randint(0, _MOST), writer.most_guesses)
        known = self._futures[writer.slot][start : start + count]
        found = [
            t if self._random.random() < 0.8 else self._random.randrange(3, 300) for t in known
        ]
        return found[: writer.permitted(found)]


class _Run:
    """Several requests in one context of this process, one step after the other."""

    def __init__(self, model: Model, requests: list[Generation], drafter: Drafter | None) -> None:
        context = Context(
            model,
            n_ctx=8 * 256,
            n_batch=128,
            n_seq_max=8,
            n_threads=1,
            max_outputs=8 * (1 + _MOST),
        )
        slots = Slots(context, 8)
        stepper = Stepper(context, slots, 128, drafter)
        running = []
        for slot, request in enumerate(requests):
            running.append(Text(slot, request, model, n_ctx=256, shifts=True))
            slots.take(running[-1])
            assert running[-1].slot == slot
        self.steps = 0
        self.pieces: dict[int, list[Piece]] = {slot: [] for slot in range(len(requests))}
        self.ends: dict[int, Finished] = {}
        while running:
            self.steps += 1
            for sequence, events, failure in stepper.step(running):
                assert failure is None
                self.pieces[sequence.slot] += [e for e in events if isinstance(e, Piece)]
                if events and isinstance(events[-1], Finished):
                    self.ends[sequence.slot] = events[-1]
                    slots.release(sequence)
                    running.remove(sequence)
                    sequence.free()

    def said(self) -> list[tuple[str, list[int], str, int]]:
        """Text, tokens, reason and count of each request."""
        texts = {
            slot: "".join(piece.text for piece in found) for slot, found in self.pieces.items()
        }
        ends = sorted(self.ends.items())
        return [(texts[slot], end.context, end.reason, end.tokens) for slot, end in ends]

    def futures(self) -> dict[int, list[int]]:
        """What each slot's text became."""
        return {slot: end.context for slot, end in self.ends.items()}


@pytest.fixture(scope="module")
def model(llama: Path) -> Model:
    return Model(str(llama), Log())


def _requests(**options: object) -> list[Generation]:
    sampling = {"temperature": 0.0, "num_predict": 60, **options}
    return [Generation(prompt, Sampling(**sampling)) for prompt in _PROMPTS]  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 1.2, "seed": 7, "top_k": 100},
        {"temperature": 0.9, "seed": 3, "repeat_penalty": 1.3, "repeat_last_n": 20},
        {"stop": ["na", "ze b", "u"]},
        {"num_predict": 7},
    ],
    ids=["greedy", "sampled", "penalties", "stop strings", "short"],
)
def test_right_and_wrong_guesses_leave_the_text_alone(
    model: Model, options: dict[str, object], seed: int
) -> None:
    plain = _Run(model, _requests(**options), None)
    guesser = _Guesser(plain.futures(), seed)
    guessed = _Run(model, _requests(**options), guesser)
    assert guessed.said() == plain.said()
    assert min(guesser.right, guesser.wrong) > 0
    assert guessed.steps < plain.steps


def test_logprobs_are_those_of_the_same_places(model: Model) -> None:
    requests = [Generation(p, Sampling(temperature=0.0), logprobs=2) for p in _PROMPTS[:3]]
    for request in requests:
        request.sampling.num_predict = 30
    plain = _Run(model, requests, None)
    guessed = _Run(model, requests, _Guesser(plain.futures(), 1))
    for slot, pieces in plain.pieces.items():
        ours = [entry for piece in guessed.pieces[slot] for entry in piece.logprobs]
        theirs = [entry for piece in pieces for entry in piece.logprobs]
        assert [entry.token for entry in ours] == [entry.token for entry in theirs]
        assert [entry.logprob for entry in ours] == pytest.approx(
            [entry.logprob for entry in theirs], abs=1e-3
        )


def test_right_guesses_save_most_of_the_steps(model: Model) -> None:
    class Knowing(_Guesser):
        def _guess(self, writer: Writer) -> list[int]:
            start = len(writer.tokens)
            return self._futures[writer.slot][start : start + min(_MOST, writer.most_guesses)]

    plain = _Run(model, _requests(), None)
    guessed = _Run(model, _requests(), Knowing(plain.futures(), 0))
    assert guessed.said() == plain.said()
    # The steps that read prompts guess nothing.
    assert guessed.steps < plain.steps / 3


async def _answers(
    runner: RunnerProcess, count: int = 8, **options: object
) -> list[tuple[str, list[int], str]]:
    requests = _requests(**options)[:count]
    answers = await asyncio.gather(*(collect(runner, request) for request in requests))
    return [(text, end.context, end.reason) for text, end in answers]


async def _check_same(plain: RunnerProcess, guessing: RunnerProcess) -> None:
    """Alone and together, greedy and sampled."""
    for count in (1, 8):
        assert await _answers(guessing, count) == await _answers(plain, count)
    sampled = [await _answers(runner, temperature=1.0, seed=5) for runner in (guessing, plain)]
    assert sampled[0] == sampled[1]


@pytest.mark.parametrize(("model_name", "most"), [("llama", 1), ("llama", 4), ("chat_llama", 16)])
async def test_lookup_gives_the_text_of_plain_decoding(
    start: Start, request: pytest.FixtureRequest, model_name: str, most: int
) -> None:
    path = request.getfixturevalue(model_name)
    guessing = await start(path, **_EXACT, draft_num_predict=most)
    await _check_same(await start(path, **_EXACT), guessing)


@pytest.mark.parametrize("seed", [0, 1], ids=["the model itself", "another model"])
async def test_a_draft_model_gives_the_text_of_plain_decoding(
    start: Start, llama: Path, tmp_path: Path, seed: int
) -> None:
    draft = write_llama(tmp_path / "draft.gguf", seed=seed)
    guessing = await start(llama, **_EXACT, draft=draft)
    await _check_same(await start(llama, **_EXACT), guessing)


async def test_a_context_that_shifts_is_guessed_on(start: Start, llama: Path) -> None:
    plain = await start(llama, **_EXACT, num_ctx=64)
    expected = await _answers(plain, 2, num_predict=150)
    for options in ({"draft_num_predict": 4}, {"draft": llama}):
        guessing = await start(llama, **_EXACT, num_ctx=64, **options)
        assert await _answers(guessing, 2, num_predict=150) == expected


async def test_an_answer_that_keeps_to_a_grammar_is_guessed(start: Start, llama: Path) -> None:
    grammar = Grammar("regex", "( (ba|be|bi|bo|bu)){30}")
    texts = []
    for options in ({}, {"draft_num_predict": 4}, {"draft": llama}):
        runner = await start(llama, **_EXACT, **options)
        wanted = Generation("ba be", Sampling(temperature=0.0, num_predict=200), grammar=grammar)
        texts.append((await collect(runner, wanted))[0])
    assert len(texts[0].split()) == 30
    assert texts[1:] == texts[:1] * 2


async def test_a_draft_model_with_other_tokens_fails_the_load(
    start: Start, llama: Path, chat_llama: Path
) -> None:
    with pytest.raises(EngineError, match=r"chat\.gguf does not fit .*llama\.gguf: \d+ tokens"):
        await start(llama, draft=chat_llama)


async def test_zero_switches_a_draft_model_off(start: Start, llama: Path, chat_llama: Path) -> None:
    # One that would not fit is not even loaded.
    runner = await start(llama, draft=chat_llama, draft_num_predict=0)
    assert (await collect(runner, _requests(num_predict=5)[0]))[1].tokens == 5
