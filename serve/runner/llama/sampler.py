"""llama.cpp's samplers."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from modelkit.serve.runner.llama.binding import api

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class SamplerChain:
    """llama.cpp samplers applied one after the other; belongs to one sequence."""

    def __init__(self) -> None:
        self.pointer = api.llama_sampler_chain_init(api.llama_sampler_chain_default_params())
        self._length = 0
        self.is_greedy = False
        """Does it only take the likeliest token?"""

    def add(self, kind: str, *arguments: float) -> None:
        """Append llama.cpp's sampler `kind` (the name in llama_sampler_init_<kind>)."""
        if self._length == 0:
            self.is_greedy = kind == "greedy"
        self._add(getattr(api, f"llama_sampler_init_{kind}")(*arguments))

    def add_logit_bias(self, n_vocab: int, biases: Mapping[int, float]) -> None:
        """Append the sampler that adds to the logits of some tokens."""
        items = (api.llama_logit_bias * len(biases))(*biases.items())
        self._add(api.llama_sampler_init_logit_bias(n_vocab, len(biases), items))

    def add_dry(
        self,
        vocabulary: int,
        *,
        multiplier: float,
        base: float,
        allowed_length: int,
        last_n: int,
        breakers: Sequence[str],
    ) -> None:
        """Append the sampler that makes it dear to go on with a repetition.

        `vocabulary` is Model.vocabulary_address. llama.cpp reads the whole vocabulary once for
        each of the breakers, the texts across which nothing counts as a repetition.
        """
        raw = [breaker.encode() for breaker in breakers]
        texts = (ctypes.c_char_p * len(raw))(*raw)
        numbers = (multiplier, base, allowed_length, last_n)
        self._add(api.llama_sampler_init_dry(vocabulary, *numbers, texts, len(raw)))

    def accept(self, token: int) -> None:
        """Tell the samplers of a token they did not choose, such as one of the prompt."""
        api.llama_sampler_accept(self.pointer, token)

    def _add(self, part: object) -> None:
        self._length += 1
        api.llama_sampler_chain_add(self.pointer, part)

    def free(self) -> None:
        if self.pointer:
            api.llama_sampler_free(self.pointer)
            self.pointer = None
