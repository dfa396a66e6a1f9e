"""llama.cpp's samplers."""

from __future__ import annotations

import llama_cpp.llama_cpp as api


class SamplerChain:
    """llama.cpp samplers applied one after the other; belongs to one sequence."""

    def __init__(self) -> None:
        self.pointer = api.llama_sampler_chain_init(api.llama_sampler_chain_default_params())

    def add(self, kind: str, *arguments: float) -> None:
        """Append llama.cpp's sampler `kind` (the name in llama_sampler_init_<kind>)."""
        part = getattr(api, f"llama_sampler_init_{kind}")(*arguments)
        api.llama_sampler_chain_add(self.pointer, part)

    def accept(self, token: int) -> None:
        """Tell the samplers of a token they did not choose, such as one of the prompt."""
        api.llama_sampler_accept(self.pointer, token)

    def free(self) -> None:
        if self.pointer:
            api.llama_sampler_free(self.pointer)
            self.pointer = None
