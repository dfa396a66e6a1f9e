"""One GGUF file's weights and vocabulary."""

from __future__ import annotations

import ctypes
import os
import re
from typing import TYPE_CHECKING, Literal

from modelkit.errors import EngineError, UsageError
from modelkit.serve.runner.llama.advice import advised
from modelkit.serve.runner.llama.binding import api

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from modelkit.serve.runner.llama.log import Log

Pooling = Literal["none", "mean", "cls", "last", "rank"]
_OVERFLOW = -(2**31)  # what llama_tokenize returns for more tokens than it can count
POOLING: tuple[Pooling, ...] = ("none", "mean", "cls", "last", "rank")  # by llama.cpp's number


class Model:
    """One GGUF file's weights and vocabulary."""

    def __init__(
        self,
        path: str,
        log: Log,
        *,
        gpu_layers: int = -1,
        main_gpu: int | None = None,
        use_mmap: bool | None = None,
        extra_buffers: bool = True,
        progress: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.path = path
        self.log = log
        params = api.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        params.main_gpu = main_gpu or 0
        params.use_extra_bufts = extra_buffers
        if use_mmap is not None:
            params.load_mode = api.LLAMA_LOAD_MODE_MMAP if use_mmap else api.LLAMA_LOAD_MODE_NONE

        def report(fraction: float, _: object) -> bool:
            progress(fraction)
            return True

        params.progress_callback = callback = api.llama_progress_callback(report)
        api.llama_backend_init()
        self._pointer = api.llama_model_load_from_file(os.fsencode(path), params)
        del callback
        if not self._pointer:
            raise EngineError(f"llama.cpp cannot load {path}: {advised(log.reason())}")
        self._vocab = api.llama_model_get_vocab(self._pointer)
        self.n_vocab: int = api.llama_vocab_n_tokens(self._vocab)
        self.n_ctx_train: int = api.llama_model_n_ctx_train(self._pointer)
        self.n_embd: int = api.llama_model_n_embd_out(self._pointer)
        self.size: int = api.llama_model_size(self._pointer)
        self.architecture = self.metadata("general.architecture") or "unknown"
        self.add_bos: bool = api.llama_vocab_get_add_bos(self._vocab)
        self.bos: int = api.llama_vocab_bos(self._vocab)
        self.eos: int = api.llama_vocab_eos(self._vocab)
        self.n_scores: int = api.llama_model_n_cls_out(self._pointer)
        self._pieces: list[bytes | None] = [None] * self.n_vocab
        self._ends: dict[int, bool] = {}
        self._buffer = ctypes.create_string_buffer(256)

    def metadata(self, key: str) -> str | None:
        """A GGUF metadata value as text; None when the file has no such key."""
        buffer = ctypes.create_string_buffer(512)
        length = api.llama_model_meta_val_str(self._pointer, key.encode(), buffer, len(buffer))
        return None if length < 0 else buffer.value.decode("utf-8", "replace")

    @property
    def chat_template(self) -> str | None:
        template: bytes | None = api.llama_model_chat_template(self._pointer, None)
        return None if template is None else template.decode("utf-8", "replace")

    @property
    def generates(self) -> bool:
        """False for encoders, which can only embed."""
        causal = self.metadata(f"{self.architecture}.attention.causal") != "false"
        return causal and not api.llama_model_has_encoder(self._pointer)

    @property
    def rewinds(self) -> bool:
        """Can the end of a sequence be forgotten? A recurrent state cannot be taken back."""
        recurrent = api.llama_model_is_recurrent(self._pointer)
        return not (recurrent or api.llama_model_is_hybrid(self._pointer))

    @property
    def sliding_window(self) -> int:
        """How many tokens back some layers see; 0 when all see everything."""
        size: int = api.llama_model_n_swa(self._pointer)
        return size

    @property
    def pooling(self) -> Pooling | None:
        """How the file says its token vectors become one; None when it does not say."""
        number = int(self.metadata(f"{self.architecture}.pooling_type") or 0)
        return POOLING[number] if 0 < number < len(POOLING) else None

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids; raises EngineError if the vocabulary cannot spell the text."""
        raw = text.encode("utf-8", "replace")
        capacity = len(raw) + 8
        while True:
            buffer = (ctypes.c_int32 * capacity)()
            count = api.llama_tokenize(
                self._vocab, raw, len(raw), buffer, capacity, add_special, parse_special
            )
            if count >= 0:
                return buffer[:count]
            if -count <= capacity or count == _OVERFLOW:
                reason = f"the model's tokenizer cannot encode a text of {len(raw)} bytes"
                raise EngineError(reason)
            capacity = -count

    def tokenize_pair(self, query: str, document: str) -> list[int]:
        """The tokens that a reranking model reads: by its own template if the file has one.

        Otherwise both texts, with the begin, end and separator tokens that the vocabulary asks for.
        """
        template = api.llama_model_chat_template(self._pointer, b"rerank")
        if template:
            parts = re.split(r"(\{query\}|\{document\})", template.decode("utf-8", "replace"))
            texts = {"{query}": query, "{document}": document}
            text = "".join(texts.get(part, part) for part in parts)
            return self.tokenize(text, add_special=False, parse_special=True)
        separator = api.llama_vocab_sep(self._vocab)
        closing = self.eos if self.eos >= 0 else separator
        begin = [self.bos] if self.add_bos else []
        end = [closing] if api.llama_vocab_get_add_eos(self._vocab) else []
        between = [separator] if api.llama_vocab_get_add_sep(self._vocab) else []
        first, second = (
            self.tokenize(text, add_special=False, parse_special=False)
            for text in (query, document)
        )
        return [*begin, *first, *end, *between, *second, *(end or between)]

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of tokens, special ones included; raises UsageError for unknown tokens."""
        self.check(tokens)
        ids = (ctypes.c_int32 * len(tokens))(*tokens)
        capacity = 16 * len(tokens) + 16
        while True:
            buffer = ctypes.create_string_buffer(capacity)
            count = api.llama_detokenize(
                self._vocab, ids, len(tokens), buffer, capacity, False, True
            )
            if count >= 0:
                return buffer.raw[:count].decode("utf-8", "replace")
            capacity = -count

    def check(self, tokens: Sequence[int]) -> None:
        """Raises UsageError for a token the vocabulary does not have: llama.cpp would abort."""
        for token in tokens:
            if not 0 <= token < self.n_vocab:
                raise UsageError(f"token {token} is not in the model's vocabulary")

    def piece(self, token: int) -> bytes:
        """The bytes of one token, which may be part of a character; special tokens are spelt."""
        piece = self._pieces[token]
        if piece is None:
            size = len(self._buffer)
            count = api.llama_token_to_piece(self._vocab, token, self._buffer, size, 0, True)
            piece = self._pieces[token] = self._buffer.raw[:count] if count > 0 else b""
        return piece

    def pieces(self) -> list[bytes]:
        """The bytes of every token; unlike `piece` safe on any thread, beside a running decode."""
        size = 64 * 1024
        buffer = ctypes.create_string_buffer(size)
        read = api.llama_token_to_piece
        counts = (read(self._vocab, t, buffer, size, 0, True) for t in range(self.n_vocab))
        return [ctypes.string_at(buffer, max(count, 0)) for count in counts]

    def is_special(self, token: int) -> bool:
        """A control token, or another that marks structure, such as <think>: never plain text."""
        kind = api.llama_vocab_get_attr(self._vocab, token)
        if kind & (api.LLAMA_TOKEN_ATTR_CONTROL | api.LLAMA_TOKEN_ATTR_UNKNOWN):
            return True
        text = api.llama_vocab_get_text(self._vocab, token)
        marked = text.startswith(b"<") and text.endswith(b">")
        return marked and bool(kind & api.LLAMA_TOKEN_ATTR_USER_DEFINED)

    @property
    def vocabulary_address(self) -> int:
        """The vocabulary, for another native library; valid as long as the model."""
        return int(self._vocab)

    @property
    def tokenize_address(self) -> int:
        """llama_tokenize itself, for another native library."""
        address = ctypes.cast(api._lib.llama_tokenize, ctypes.c_void_p).value
        return address or 0

    def spelling(self, token: int) -> str:
        """A special token as text, empty when the vocabulary has none (a negative id)."""
        return self.piece(token).decode("utf-8", "replace") if token >= 0 else ""

    def ends(self, token: int) -> bool:
        """Does this token end a generation?"""
        known = self._ends.get(token)
        if known is None:
            known = self._ends[token] = bool(api.llama_vocab_is_eog(self._vocab, token))
        return known

    def suppressed(self) -> list[int]:
        """The tokens that the model file says must never be sampled."""
        count = ctypes.c_int32()
        tokens = api.llama_vocab_get_suppress_tokens(self._vocab, ctypes.byref(count))
        return tokens[: count.value] if tokens else []

    def load_adapter(self, path: str) -> int:
        """A LoRA adapter's handle for Context.set_adapters; freed with the model."""
        pointer: int | None = api.llama_adapter_lora_init(self._pointer, os.fsencode(path))
        if not pointer:
            raise EngineError(f"llama.cpp cannot load adapter {path}: {self.log.reason()}")
        return pointer
