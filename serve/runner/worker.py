"""The runner process: `python -m modelkit.serve.runner.worker SOCKET-FD PARENT-PID`.

Reads commands from the socket it inherited and never outlives its parent. Prints only to stderr.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from modelkit.errors import EngineError, ModelkitError, UsageError
from modelkit.serve.runner.frames import (
    Answer,
    Body,
    Cancel,
    Command,
    Detokenize,
    Embed,
    Failure,
    FrameBuffer,
    Generate,
    GetStats,
    Load,
    LoadProgress,
    Rerank,
    Text,
    Tokenize,
    Tokens,
    decode_command,
    encode,
)
from modelkit.serve.types import InputTooLong, PromptTooLong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelkit.serve.runner.adapters import AdapterSet
    from modelkit.serve.runner.engine import Engine
    from modelkit.serve.runner.grammar.constraint import Constraint
    from modelkit.serve.runner.grammar.grammars import Grammars
    from modelkit.serve.runner.loading import Loaded
    from modelkit.serve.types import Adapter, Grammar

_PR_SET_PDEATHSIG = 1
_PROGRESS_INTERVAL = 0.05  # seconds
_SAVING = 2.5  # seconds, less than the parent waits before it kills


class Connection:
    """The socket to the parent; the process ends when the parent closes it."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._lock = threading.Lock()

    def send(self, answers: list[Answer]) -> None:
        data = b"".join(map(encode, answers))
        try:
            with self._lock:
                self._socket.sendall(data)
        except OSError:
            os._exit(0)

    def answer(self, id_: int, body: Body) -> None:
        self.send([Answer(id_, body)])

    def commands(self) -> Iterator[Command]:
        frames = FrameBuffer()
        while data := self._receive():
            for frame in frames.feed(data):
                yield decode_command(frame)

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(1 << 16)
        except OSError:
            return b""


class Worker:
    """Answers what needs no decoding itself and hands the rest to the decode loop's thread.

    Raises EngineError when the engine cannot start.
    """

    def __init__(self, loaded: Loaded, connection: Connection) -> None:
        from modelkit.serve.runner.engine import Engine

        self._loaded = loaded
        self._connection = connection
        self._engine = Engine(loaded, connection.send)
        self._grammars: Grammars | None = None
        threading.Thread(target=_run, args=(self._engine,), daemon=True).start()

    @property
    def saves(self) -> bool:
        """Is there anything to save when the process ends?"""
        return bool(self._loaded.snapshots and self._loaded.snapshots.durable)

    def stop(self) -> None:
        """Save what outlives the process."""
        if self.saves:
            self._engine.stop(_SAVING)

    def handle(self, command: Command) -> None:
        try:
            self._handle(command)
        except ModelkitError as error:
            self._connection.answer(getattr(command, "id", 0), _failure(error))

    def _handle(self, command: Command) -> None:
        model = self._loaded.model
        match command:
            case Generate():
                self._generate(command)
            case Embed() | Rerank():
                self._embed(command)
            case Cancel() | GetStats():
                self._engine.submit(command)
            case Tokenize(id_, text, add_special, parse_special):
                tokens = model.tokenize(text, add_special=add_special, parse_special=parse_special)
                self._connection.answer(id_, Tokens(tokens))
            case Detokenize(id_, tokens):
                self._connection.answer(id_, Text(model.detokenize(tokens)))
            case Load():
                raise UsageError("this runner has a model already")

    def _generate(self, command: Generate) -> None:
        from modelkit.serve.runner.sequence import Sequence

        context = self._loaded.context
        if context is None:
            raise UsageError(f"a {self._loaded.model.architecture} model can only embed text")
        options, request = self._loaded.options, command.request
        sequence = Sequence(
            command.id,
            request,
            self._loaded.model,
            n_ctx=options.num_ctx,
            shifts=options.shift and context.can_shift,
            adapters=self._adapters(request.adapters),
            constraint=self._constraint(request.grammar),
        )
        self._engine.submit(sequence)

    def _adapters(self, adapters: list[Adapter]) -> AdapterSet:
        loaded = self._loaded
        return loaded.adapters.load(adapters) if adapters else loaded.default_adapters

    def _constraint(self, grammar: Grammar | None) -> Constraint | None:
        """A grammar is compiled here, on the thread that reads commands: decoding goes on."""
        from modelkit.serve.runner.grammar.grammars import Grammars

        if grammar is None:
            return None
        self._grammars = self._grammars or Grammars(self._loaded.model)
        return self._grammars.start(grammar)

    def _embed(self, command: Embed | Rerank) -> None:
        from modelkit.serve.runner.embedding import EmbeddingJob, tokenize_inputs, tokenize_pairs

        model, n_ctx = self._loaded.model, self._loaded.options.num_ctx
        if isinstance(command, Embed):
            texts = command.inputs
            inputs = tokenize_inputs(model, texts, n_ctx=n_ctx, truncate=command.truncate)
        else:
            query, texts = command.query, command.documents
            inputs = tokenize_pairs(model, query, texts, n_ctx=n_ctx, truncate=command.truncate)
        self._engine.submit(EmbeddingJob(command.id, inputs))


def _run(engine: Engine) -> None:
    try:
        engine.run()
    except BaseException:
        # Without its decode loop the process is of no use; the parent reports the last line.
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def _failure(error: ModelkitError) -> Failure:
    match error:
        case PromptTooLong():
            return Failure("prompt-too-long", error.message)
        case InputTooLong():
            return Failure("input-too-long", error.message)
        case UsageError():
            return Failure("usage", error.message)
        case _:
            return Failure("engine", error.message)


def _load(command: Load, connection: Connection) -> Loaded:
    from modelkit.serve.runner.llama.log import Log
    from modelkit.serve.runner.loading import load

    last = 0.0

    def progress(fraction: float) -> None:
        nonlocal last
        if time.monotonic() - last > _PROGRESS_INTERVAL:
            last = time.monotonic()
            connection.answer(0, LoadProgress(fraction))

    return load(command.files, command.options, Log(), progress)


def _die_with_parent(parent: int) -> None:
    """Be killed when the parent is: a runner that is busy in llama.cpp reads no socket."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _terminate(*_: object) -> None:
    """End the main loop; a second signal must not disturb what is done then."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit


def main(arguments: list[str]) -> int:
    descriptor, parent = map(int, arguments)
    _die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C reaches us too; the parent decides
    connection = Connection(descriptor)
    worker: Worker | None = None
    with suppress(SystemExit):  # from _terminate
        for command in connection.commands():
            if worker:
                worker.handle(command)
                continue
            if not isinstance(command, Load):
                raise EngineError("the first command must load a model")
            try:
                # GNU's OpenMP keeps helpers for every thread that ever computed, and when it counts
                # more threads than cores they no longer wait awake: a token would cost a third
                # more. Only the decode loop's thread must be left, so this one ends.
                with ThreadPoolExecutor(1, thread_name_prefix="load") as loader:
                    loaded = loader.submit(_load, command, connection).result()
                worker = Worker(loaded, connection)
            except ModelkitError as error:
                connection.answer(0, _failure(error))
                return 1
            if worker.saves:
                signal.signal(signal.SIGTERM, _terminate)
            connection.answer(0, loaded.info())
    if worker:
        worker.stop()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
