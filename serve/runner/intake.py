"""From requests to sequences that the decode loop can run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

from modelkit.errors import ModelkitError, UsageError
from modelkit.serve.runner.fatal import run_or_die
from modelkit.serve.runner.sequence import Sequence

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from modelkit.serve.runner.frames import Generate
    from modelkit.serve.runner.grammar.constraint import Constraint
    from modelkit.serve.runner.grammar.grammars import Grammars
    from modelkit.serve.runner.loading import Loaded


class Intake:
    """Makes a sequence of each request and submits it.

    To compile a grammar may take long. That has a thread of its own: other commands, a Cancel of
    the very request among them, do not wait for it.
    """

    def __init__(
        self,
        loaded: Loaded,
        submit: Callable[[Sequence], None],
        fail: Callable[[int, ModelkitError], None],
        compiler: Executor | None = None,
    ) -> None:
        """`fail` is told why a grammar was refused. `compiler` runs one thing after the other."""
        self._loaded = loaded
        self._submit = submit
        self._fail = fail
        self._compiler = compiler or ThreadPoolExecutor(1, thread_name_prefix="compile")
        # The requests whose grammars are not compiled yet, and what guards them.
        self._compiling: set[int] = set()
        self._lock = Lock()

    def take(self, command: Generate) -> None:
        """Submit the request's sequence, now or when its grammar is compiled.

        Raises UsageError or PromptTooLong for a request without a grammar that cannot be run; the
        others are told to `fail`.
        """
        if command.request.grammar is None:
            self._submit(self._sequence(command, None))
            return
        with self._lock:
            self._compiling.add(command.id)
        self._compiler.submit(run_or_die, self._compile, command)

    def cancel(self, id_: int) -> bool:
        """Drop a request whose grammar is not compiled yet; False when there is none."""
        with self._lock:
            waiting = id_ in self._compiling
            self._compiling.discard(id_)
        return waiting

    @cached_property
    def _grammars(self) -> Grammars:
        """Imported and built for the first request that needs it."""
        from modelkit.serve.runner.grammar.grammars import Grammars

        return Grammars(self._loaded.model)

    def _compile(self, command: Generate) -> None:
        grammar = command.request.grammar
        if grammar is None or command.id not in self._compiling:
            return
        try:
            sequence = self._sequence(command, self._grammars.start(grammar))
        except ModelkitError as error:
            self.cancel(command.id)
            self._fail(command.id, error)
            return
        # Under the lock, so that a Cancel either ends it here or comes after it.
        with self._lock:
            if command.id in self._compiling:
                self._compiling.discard(command.id)
                self._submit(sequence)
                return
        sequence.free()

    def _sequence(self, command: Generate, constraint: Constraint | None) -> Sequence:
        loaded, request = self._loaded, command.request
        context, options = loaded.context, loaded.options
        if context is None:
            raise UsageError(f"a {loaded.model.architecture} model can only embed text")
        chosen = request.adapters
        return Sequence(
            command.id,
            request,
            loaded.model,
            n_ctx=options.num_ctx,
            shifts=options.shift and context.can_shift,
            adapters=loaded.adapters.load(chosen) if chosen else loaded.default_adapters,
            constraint=constraint,
        )
