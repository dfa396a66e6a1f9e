"""A small model that writes ahead of a large one, with a cache of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from modelkit.errors import EngineError
from modelkit.serve.runner.llama.batch import Batch
from modelkit.serve.runner.llama.context import Context

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelkit.serve.runner.llama.model import Model


class Wish(NamedTuple):
    """The text of a sequence so far, and the most tokens to guess after it."""

    tokens: Sequence[int]
    most: int


class DraftModel:
    """Guesses for all sequences at once, the likeliest token each time.

    Each slot's cache holds what the draft model read and guessed there. The part that `_agreed`
    counts is known to be the sequence's own text; the rest is compared with it before it is used.
    """

    def __init__(
        self,
        model: Model,
        *,
        n_ctx: int,
        num_batch: int,
        num_parallel: int,
        threads: int,
        flash_attention: str = "auto",
    ) -> None:
        """n_ctx is tokens per sequence. Raises EngineError when there is no memory for it."""
        self._model = model
        self._n_ctx = min(n_ctx, model.n_ctx_train)
        self._context = Context(
            model,
            n_ctx=self._n_ctx * num_parallel,
            n_batch=num_batch,
            n_seq_max=num_parallel,
            n_threads=threads,
            flash_attention=flash_attention,
        )
        self._batch = Batch(num_batch)
        self._held: list[list[int]] = [[] for _ in range(num_parallel)]
        self._agreed = [0] * num_parallel
        self.read = 0
        """How many tokens of text the last call of `propose` had to read."""

    def forget(self, slot: int) -> None:
        """Another text is in the slot now; the part that it shares with the old one is found."""
        self._agreed[slot] = 0

    def propose(self, wishes: Mapping[int, Wish]) -> dict[int, list[int]]:
        """Guesses by slot: one decode to read, one more for each further guess.

        A slot whose text does not fit into the first decode is read in part, and in further calls;
        so is none that is as long as the draft model's context. Both get no guess.
        Raises EngineError, after which the model is of no use.
        """
        self._batch.clear()
        outputs = self._pack_texts(wishes)
        self.read = len(self._batch)
        guesses: dict[int, list[int]] = {slot: [] for slot in outputs}
        while len(self._batch):
            self._context.decode(self._batch)
            for slot, index in outputs.items():
                guesses[slot].append(int(self._context.logits(index).argmax()))
            self._batch.clear()
            outputs = {
                slot: self._pack_guess(slot, guesses[slot][-1])
                for slot in outputs
                if len(guesses[slot]) < self._most(wishes[slot])
                and not self._model.ends(guesses[slot][-1])
            }
        return guesses

    def _most(self, wish: Wish) -> int:
        return min(wish.most, self._n_ctx - len(wish.tokens))

    def _pack_texts(self, wishes: Mapping[int, Wish]) -> dict[int, int]:
        """Put in what is not in the cache; batch indices of the texts that are now complete."""
        slots = [slot for slot, wish in wishes.items() if self._most(wish) > 0]
        unread = {slot: self._unread(slot, wishes[slot].tokens) for slot in slots}
        outputs = {}
        # The shortest first: what they leave of their share goes to the longer ones.
        for place, slot in enumerate(sorted(slots, key=lambda slot: len(unread[slot]))):
            room = (self._batch.capacity - len(self._batch)) // (len(slots) - place)
            part = unread[slot][:room]
            last = self._batch.extend(part, self._agreed[slot], slot)
            self._held[slot] += part
            self._agreed[slot] += len(part)
            if part == unread[slot]:
                self._batch.want_output(last)
                outputs[slot] = last
        return outputs

    def _pack_guess(self, slot: int, token: int) -> int:
        position = len(self._held[slot])
        self._held[slot].append(token)
        return self._batch.add(token, position, slot)

    def _unread(self, slot: int, tokens: Sequence[int]) -> Sequence[int]:
        """What the cache lacks, at least the last token, whose logits are needed.

        Guesses that were wrong are forgotten.
        """
        held, agreed = self._held[slot], self._agreed[slot]
        most = min(len(held), len(tokens) - 1)
        while agreed < most and held[agreed] == tokens[agreed]:
            agreed += 1
        agreed = min(agreed, most)
        if agreed < len(held) and not self._context.trim(slot, agreed):
            raise EngineError(f"a {self._model.architecture} model cannot forget wrong guesses")
        del held[agreed:]
        self._agreed[slot] = agreed
        return tokens[agreed:]


def check_pair(model: Model, draft: Model) -> None:
    """Raises EngineError for a draft model whose tokens do not mean the same to the model."""
    refusal = f"draft model {draft.path} does not fit {model.path}"
    for each in (model, draft):
        if not (each.generates and each.rewinds):
            raise EngineError(f"{refusal}: guesses do not work with a {each.architecture} model")
    if model.n_vocab != draft.n_vocab:
        raise EngineError(f"{refusal}: {draft.n_vocab} tokens against {model.n_vocab}")
    for token in range(model.n_vocab):
        if model.piece(token) != draft.piece(token):
            pieces = f"{draft.piece(token)!r} against {model.piece(token)!r}"
            raise EngineError(f"{refusal}: token {token} is {pieces}")
