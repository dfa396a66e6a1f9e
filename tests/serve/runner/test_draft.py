"""A draft model's guesses, made by a tiny real model in this process."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from modelkit.errors import EngineError
from modelkit.serve.runner.llama.batch import Batch
from modelkit.serve.runner.llama.context import Context
from modelkit.serve.runner.llama.log import Log
from modelkit.serve.runner.llama.model import Model
from modelkit.serve.runner.speculation.draft import DraftModel, Wish, check_pair
from tests.serve.runner.tiny import write_bert, write_llama

_SLOTS = 4
_CTX = 128
_TEXTS = [[1, 300, 301, 302], [1, 310], [1, 320, 330, 340, 350, 360], [1, 305, 306]]

Guess = Callable[[list[int], int], list[int]]


@pytest.fixture(scope="module")
def log() -> Log:
    return Log()


@pytest.fixture(scope="module")
def model(log: Log, llama: Path) -> Model:
    return Model(str(llama), log)


@pytest.fixture(scope="module")
def greedy(model: Model) -> Guess:
    """The model's likeliest continuation, each time from an empty cache."""
    context = Context(model, n_ctx=_CTX, n_batch=_CTX, n_seq_max=1, n_threads=1)
    batch = Batch(_CTX)

    def continuation(tokens: list[int], count: int) -> list[int]:
        text = list(tokens)
        for _ in range(count):
            context.remove(0)
            batch.clear()
            batch.want_output(batch.extend(text, 0, 0))
            context.decode(batch)
            text.append(int(context.logits(len(text) - 1).argmax()))
        return text[len(tokens) :]

    return continuation


def _draft(model: Model, num_batch: int = 64) -> DraftModel:
    return DraftModel(model, n_ctx=_CTX, num_batch=num_batch, num_parallel=_SLOTS, threads=1)


def test_all_slots_get_their_own_continuation(model: Model, greedy: Guess) -> None:
    wishes = {slot: Wish(text, slot + 1) for slot, text in enumerate(_TEXTS)}
    expected = {slot: greedy(text, slot + 1) for slot, text in enumerate(_TEXTS)}
    assert _draft(model).propose(wishes) == expected


def test_guesses_stay_right_when_some_were_wrong(model: Model, greedy: Guess) -> None:
    draft, chance = _draft(model), random.Random(5)
    texts = [list(text) for text in _TEXTS]
    for _ in range(12):
        slots = chance.sample(range(_SLOTS), 3)  # a slot may miss steps, and has more to read then
        guesses = draft.propose({slot: Wish(list(texts[slot]), 4) for slot in slots})
        for slot in slots:
            assert guesses[slot] == greedy(texts[slot], 4)
        for slot, text in enumerate(texts):
            text += [*guesses.get(slot, [])[: chance.randrange(5)], chance.randrange(290, 380)]


def test_only_what_is_new_is_read(model: Model) -> None:
    draft = _draft(model)
    text = list(range(300, 340))
    guesses = draft.propose({0: Wish(text, 3)})[0]
    assert draft.read == 40
    draft.propose({0: Wish([*text, *guesses[:2], 299], 3)})
    assert draft.read == 1
    draft.forget(0)
    draft.propose({0: Wish([*text[:30], 298, 297], 3)})
    assert draft.read == 2


def test_a_text_that_was_shortened_is_found_again(model: Model, greedy: Guess) -> None:
    draft = _draft(model)
    text = list(range(300, 340))
    draft.propose({0: Wish(text, 3)})
    shifted = text[:4] + text[20:]
    draft.forget(0)
    assert draft.propose({0: Wish(shifted, 3)}) == {0: greedy(shifted, 3)}


def test_a_long_text_is_read_in_parts_beside_others(model: Model, greedy: Guess) -> None:
    draft = _draft(model, num_batch=16)
    text = [1, *range(290, 350)]
    reads = []
    while not (guesses := draft.propose({0: Wish(text, 2), 1: Wish(_TEXTS[0], 2)})).get(0):
        assert guesses == {1: greedy(_TEXTS[0], 2)}
        reads.append(draft.read)
    assert guesses[0] == greedy(text, 2)
    assert len(reads) == 4
    assert max(reads) <= 16


def test_nothing_is_guessed_beyond_the_draft_models_context(model: Model) -> None:
    draft = _draft(model, num_batch=_CTX)
    text = [1] * (_CTX - 2)
    assert len(draft.propose({0: Wish(text, 4)})[0]) == 2
    assert draft.propose({0: Wish([*text, 300, 301], 4)}) == {}


def test_a_draft_model_with_other_tokens_is_refused(
    log: Log, model: Model, chat_llama: Path
) -> None:
    other = Model(str(chat_llama), log)
    with pytest.raises(EngineError, match=r"chat\.gguf does not fit .*llama\.gguf: \d+ tokens"):
        check_pair(model, other)


def test_one_token_that_differs_is_named(log: Log, model: Model, tmp_path: Path) -> None:
    # The same number of tokens, two of them exchanged.
    renamed = write_llama(tmp_path / "renamed.gguf")
    content = renamed.read_bytes()
    first, second = content.index(b"<0x41>"), content.index(b"<0x42>")
    exchanged = bytearray(content)
    exchanged[first : first + 6], exchanged[second : second + 6] = b"<0x42>", b"<0x41>"
    renamed.write_bytes(exchanged)
    other = Model(str(renamed), log)
    with pytest.raises(EngineError, match=r"token 68 is b'B' against b'A'"):
        check_pair(model, other)


def test_an_encoder_cannot_draft(log: Log, model: Model, tmp_path: Path) -> None:
    bert = Model(str(write_bert(tmp_path / "bert.gguf")), log)
    with pytest.raises(EngineError, match="guesses do not work with a bert model"):
        check_pair(model, bert)


def test_a_model_fits_itself(log: Log, model: Model, llama: Path) -> None:
    check_pair(model, Model(str(llama), log))
