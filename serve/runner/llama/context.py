"""The working state over a model: its cache, and the results of the last batch."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import numpy as np

from modelkit.errors import EngineError
from modelkit.serve.runner.llama.binding import api
from modelkit.serve.runner.llama.model import POOLING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from modelkit.serve.runner.llama.batch import Batch
    from modelkit.serve.runner.llama.model import Model, Pooling
    from modelkit.serve.runner.llama.sampler import SamplerChain

CACHE_TYPES = {
    "f32": api.GGML_TYPE_F32,
    "f16": api.GGML_TYPE_F16,
    "bf16": 30,  # GGML_TYPE_BF16: the binding has no name for it
    "q8_0": api.GGML_TYPE_Q8_0,
    "q5_1": api.GGML_TYPE_Q5_1,
    "q5_0": api.GGML_TYPE_Q5_0,
    "q4_1": api.GGML_TYPE_Q4_1,
    "q4_0": api.GGML_TYPE_Q4_0,
    "iq4_nl": api.GGML_TYPE_IQ4_NL,
}
FLASH_ATTENTION = {
    "auto": api.LLAMA_FLASH_ATTN_TYPE_AUTO,
    "on": api.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "off": api.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}
MAX_SEQUENCES: int = api.llama_max_parallel_sequences()


class CacheFull(EngineError):
    """There are not enough free cells for a batch."""


class Context:
    """The working state over a model: the cache of n_seq_max sequences and the compute buffers."""

    def __init__(
        self,
        model: Model,
        *,
        n_ctx: int,
        n_batch: int,
        n_seq_max: int,
        n_threads: int,
        cache_type: str = "f16",
        flash_attention: str = "auto",
        pooling: Pooling | None = None,
        max_outputs: int = 0,
        unified: bool = True,
    ) -> None:
        """max_outputs: how many tokens of a batch may want logits; 0 for one of each sequence.

        unified: all sequences share one pool of n_ctx cells; otherwise each has its equal part.
        """
        params = api.llama_context_default_params()
        params.n_ctx = n_ctx
        params.n_batch = params.n_ubatch = n_batch
        params.n_seq_max = n_seq_max
        params.n_threads = params.n_threads_batch = n_threads
        params.type_k = params.type_v = CACHE_TYPES[cache_type]
        params.flash_attn_type = FLASH_ATTENTION[flash_attention]
        params.kv_unified = unified
        params.embeddings = pooling is not None
        params.pooling_type = POOLING.index(pooling or "none")
        # Without this the logits buffer has a row of the vocabulary for each token of a batch.
        params.n_outputs_max = 0 if pooling else max_outputs or n_seq_max
        self.model = model
        self._pointer = api.llama_init_from_model(model._pointer, params)
        if not self._pointer:
            raise EngineError(f"llama.cpp cannot make a context: {model.log.reason()}")
        self._memory = api.llama_get_memory(self._pointer)
        self._run = api.llama_decode if self._memory else api.llama_encode
        # Where the logits of the batch indices are that wanted them; fetched once per decode.
        self._rows: dict[int, int] = {}
        self._logits: npt.NDArray[np.float32] | None = None
        # Can a sequence go on after any part of its start? See can_resume for the others.
        self.cuts_anywhere = model.rewinds and not model.sliding_window
        # With a sliding window a shared cell would never be given up.
        self.shares_cells = unified and self.cuts_anywhere
        self.can_shift = bool(self._memory) and bool(api.llama_memory_can_shift(self._memory))

    def set_adapters(self, adapters: Sequence[tuple[int, float]]) -> None:
        """Apply LoRA adapters, each with its strength, to every following decode, and no others."""
        handles = (api.llama_adapter_lora_p_ctypes * len(adapters))(*(a for a, _ in adapters))
        scales = (ctypes.c_float * len(adapters))(*(scale for _, scale in adapters))
        if api.llama_set_adapters_lora(self._pointer, handles, len(adapters), scales) != 0:
            raise EngineError(f"llama.cpp cannot apply the adapters: {self.model.log.reason()}")

    def decode(self, batch: Batch) -> None:
        """Run one batch; raises EngineError, after which the batch's sequences must be removed.

        CacheFull leaves everything as it was.
        """
        batch.raw.n_tokens = len(batch)
        self._rows, self._logits = batch.rows, None
        status = self._run(self._pointer, batch.raw)
        if status == 1:
            raise CacheFull("llama.cpp found no room in the cache for the batch")
        if status != 0:
            raise EngineError(f"llama.cpp failed to decode ({status}): {self.model.log.reason()}")

    def free(self) -> None:
        """Give the memory back; the context must not be used again."""
        api.llama_free(self._pointer)

    def remove(self, sequence: int) -> None:
        """Forget everything about a sequence."""
        if self._memory:
            api.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def trim(self, sequence: int, length: int) -> bool:
        """Forget positions from `length` on; False when the memory cannot go back that far."""
        removed: bool = api.llama_memory_seq_rm(self._memory, sequence, length, -1)
        return removed

    def copy(self, source: int, target: int, start: int, stop: int) -> int:
        """Let a sequence, which has the first `start` positions of another, have `stop` of them.

        The cells are shared where the memory can, copied otherwise. Returns how many positions
        the target has then: `stop`, or 0 when it cannot.
        """
        if self.shares_cells:
            api.llama_memory_seq_cp(self._memory, source, target, start, stop)
            return stop
        if not self.load_state(target, self.save_state(source)):
            return 0
        # The copy of a sliding window has only what a token after the whole sequence can see.
        if self.can_resume(target, stop, stop) and self.trim(target, stop):
            return stop
        self.remove(target)
        return 0

    def can_resume(self, sequence: int, length: int, held: int) -> bool:
        """Can a sequence of `held` tokens go on after its first `length`, without the others?"""
        if not self.model.rewinds:
            return length == held
        if not self.model.sliding_window:
            return True
        # Of such a memory's cells, those that no later token can see may be gone.
        first: int = api.llama_memory_seq_pos_min(self._memory, sequence)
        return 0 <= first <= max(length - self.model.sliding_window, 0)

    def save_state(self, sequence: int) -> npt.NDArray[np.uint8]:
        """A copy of a sequence's cache, for load_state of a context over the same model."""
        size: int = api.llama_state_seq_get_size(self._pointer, sequence)
        state = np.empty(size, np.uint8)
        pointer = state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        if api.llama_state_seq_get_data(self._pointer, pointer, size, sequence) != size:
            raise EngineError(f"llama.cpp cannot copy a sequence: {self.model.log.reason()}")
        return state

    def load_state(self, sequence: int, state: npt.NDArray[np.uint8]) -> bool:
        """Replace a sequence by a copy; False, and the sequence is empty, when it does not fit."""
        pointer = state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        read = api.llama_state_seq_set_data(self._pointer, pointer, len(state), sequence)
        if read != len(state):
            self.remove(sequence)
            self.model.log.errors.clear()
            return False
        return True

    def shift(self, sequence: int, keep: int, discard: int, end: int) -> None:
        """Drop positions keep..keep+discard and move those up to `end` down into the gap."""
        api.llama_memory_seq_rm(self._memory, sequence, keep, keep + discard)
        api.llama_memory_seq_add(self._memory, sequence, keep + discard, end, -discard)

    def logits(self, index: int) -> npt.NDArray[np.float32]:
        """The logits (n_vocab) of a batch index, valid until the next decode."""
        if self._logits is None:
            # Faster than np.ctypeslib.as_array: this is done in every step.
            pointer = api.llama_get_logits(self._pointer)
            size = len(self._rows) * self.model.n_vocab
            values = (ctypes.c_float * size).from_address(ctypes.addressof(pointer.contents))
            logits = np.frombuffer(memoryview(values), np.float32)
            self._logits = logits.reshape(-1, self.model.n_vocab)
        row: npt.NDArray[np.float32] = self._logits[self._rows[index]]
        return row

    def pooled(self, sequence: int) -> bytes:
        """A sequence's pooled vector, native float32: n_embd values, or a reranker's n_scores."""
        pointer = api.llama_get_embeddings_seq(self._pointer, sequence)
        if not pointer:
            raise EngineError("llama.cpp returned no embedding")
        ranks = api.llama_pooling_type(self._pointer) == api.LLAMA_POOLING_TYPE_RANK
        return ctypes.string_at(pointer, 4 * (self.model.n_scores if ranks else self.model.n_embd))

    def sample(self, chain: SamplerChain, index: int) -> int:
        """Choose and accept a token from the logits of a batch index."""
        if chain.is_greedy:
            # llama.cpp would make a candidate of every token first, which takes ten times as long.
            return int(self.logits(index).argmax())
        token: int = api.llama_sampler_sample(chain.pointer, self._pointer, index)
        return token
