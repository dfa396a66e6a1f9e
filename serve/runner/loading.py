"""From files and options to a model that is ready to run, and what there is to say about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from modelkit.errors import UsageError
from modelkit.serve.capacity.threads import default_threads
from modelkit.serve.runner.adapters import Adapters, AdapterSet
from modelkit.serve.runner.cache.snapshots import Snapshots
from modelkit.serve.runner.llama.context import (
    CACHE_TYPES,
    FLASH_ATTENTION,
    MAX_SEQUENCES,
    Context,
)
from modelkit.serve.runner.llama.log import Log
from modelkit.serve.runner.llama.model import Model
from modelkit.serve.runner.warmup import warm_up
from modelkit.serve.types import Adapter, LoadedModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelkit.serve.runner.speculation.drafter import Drafter
    from modelkit.serve.types import LoadOptions, ModelFiles

# The smallest context in which a prompt, its kept head and one new token have room.
_MIN_CTX = 4
# Tokens that a draft model guesses at a time unless the options say otherwise.
DEFAULT_GUESSES = 4


class Loaded(msgspec.Struct, frozen=True):
    """A model, its adapters, and the options as they hold for it.

    default_adapters are for requests that name none. context is None for an encoder, which can only
    embed; drafter when nothing guesses ahead, snapshots when no prefixes are copied.
    """

    model: Model
    adapters: Adapters
    default_adapters: AdapterSet
    context: Context | None
    options: LoadOptions
    drafter: Drafter | None = None
    snapshots: Snapshots | None = None

    def info(self) -> LoadedModel:
        model = self.model
        return LoadedModel(
            architecture=model.architecture,
            n_ctx=self.options.num_ctx,
            n_ctx_train=model.n_ctx_train,
            n_embd=model.n_embd,
            pooling=model.pooling or (None if model.generates else "mean"),
            size_bytes=max(model.size, model.log.buffer_bytes),
            chat_template=model.chat_template,
            bos_token=model.spelling(model.bos),
            eos_token=model.spelling(model.eos),
            add_bos=model.add_bos,
        )


def load(
    files: ModelFiles, options: LoadOptions, log: Log, progress: Callable[[float], None]
) -> Loaded:
    """Load a model.

    Raises UsageError for bad options, EngineError with llama.cpp's reason, StoreError for a folder
    of prefixes that cannot be made.
    """
    _check(options)
    model = Model(
        files.model,
        log,
        gpu_layers=options.num_gpu,
        main_gpu=options.main_gpu,
        use_mmap=options.use_mmap,
        extra_buffers=options.extra_buffers,
        progress=progress,
    )
    options = _resolve(options, model.n_ctx_train)
    warm_up(model, options.num_thread)
    adapters = Adapters(model)
    default = adapters.load([Adapter(path) for path in files.adapters])
    if not model.generates:
        return Loaded(model, adapters, default, None, options)
    drafter = _drafter(files.draft, model, options)
    context = _context(model, options, drafter.most if drafter else 0)
    snapshots = Snapshots.of(model, options)
    return Loaded(model, adapters, default, context, options, drafter, snapshots)


def _drafter(draft: str | None, model: Model, options: LoadOptions) -> Drafter | None:
    """Raises EngineError for a draft model that does not fit the model."""
    from modelkit.serve.runner.speculation.draft import DraftModel, check_pair
    from modelkit.serve.runner.speculation.drafter import Drafter

    default = DEFAULT_GUESSES if draft else 0
    most = default if options.draft_num_predict is None else options.draft_num_predict
    if most < 1 or not model.rewinds:
        return None
    if draft is None:
        return Drafter(most)
    small = Model(
        draft,
        model.log,
        gpu_layers=options.num_gpu,
        main_gpu=options.main_gpu,
        extra_buffers=options.extra_buffers,
    )
    check_pair(model, small)
    ahead = DraftModel(
        small,
        n_ctx=options.num_ctx,
        num_batch=options.num_batch,
        num_parallel=options.num_parallel,
        threads=options.num_thread,
        flash_attention=options.flash_attention,
    )
    return Drafter(most, ahead)


def _context(model: Model, options: LoadOptions, most_guesses: int) -> Context:
    # As many cells as all sequences together may come to need: one that was admitted can always go
    # on.
    return Context(
        model,
        n_ctx=options.num_ctx * options.num_parallel,
        n_batch=options.num_batch,
        n_seq_max=options.num_parallel,
        n_threads=options.num_thread,
        cache_type=options.kv_cache_type,
        flash_attention=options.flash_attention,
        max_outputs=options.num_parallel * (1 + most_guesses),
        unified=options.kv_unified,
    )


def _check(options: LoadOptions) -> None:
    _check_choice("kv_cache_type", options.kv_cache_type, CACHE_TYPES)
    _check_choice("flash_attention", options.flash_attention, FLASH_ATTENTION)
    if not 1 <= options.num_parallel <= MAX_SEQUENCES:
        raise UsageError(f"num_parallel must be between 1 and {MAX_SEQUENCES}")
    for name in ("num_ctx", "num_batch"):
        if getattr(options, name) < 1:
            raise UsageError(f"option {name} must be at least 1")
    if options.num_thread < 0:
        raise UsageError("option num_thread must not be negative; 0 means one per physical core")


def _check_choice(name: str, value: str, known: dict[str, int]) -> None:
    if value not in known:
        raise UsageError(f"unknown {name} {value!r}; known are {', '.join(known)}")


def _resolve(options: LoadOptions, n_ctx_train: int) -> LoadOptions:
    """The options with everything automatic decided and everything impossible clamped."""
    num_ctx = max(_MIN_CTX, min(options.num_ctx, n_ctx_train))
    # A step needs room for one token of every sequence; more than a context is wasted memory.
    num_batch = max(min(options.num_batch, num_ctx), options.num_parallel)
    num_thread = options.num_thread or default_threads()
    return msgspec.structs.replace(
        options, num_ctx=num_ctx, num_batch=num_batch, num_thread=num_thread
    )
