"""What a runner does with each command."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from modelkit.errors import ModelkitError, UsageError
from modelkit.serve.runner.embedding import EmbeddingJob, tokenize_inputs, tokenize_pairs
from modelkit.serve.runner.engine import Engine
from modelkit.serve.runner.fatal import run_or_die
from modelkit.serve.runner.frames import (
    Cancel,
    Command,
    Detokenize,
    Embed,
    Generate,
    GetStats,
    Load,
    Rerank,
    Text,
    Tokenize,
    Tokens,
)
from modelkit.serve.runner.intake import Intake

if TYPE_CHECKING:
    from modelkit.serve.runner.connection import Connection
    from modelkit.serve.runner.loading import Loaded


class Service:
    """Answers what needs no decoding itself and hands the rest to the decode loop's thread.

    Raises EngineError when the engine cannot start.
    """

    def __init__(self, loaded: Loaded, connection: Connection) -> None:
        self._loaded = loaded
        self._connection = connection
        self._engine = Engine(loaded, connection.send)
        self._intake = Intake(loaded, self._engine.submit, connection.fail)
        threading.Thread(target=run_or_die, args=(self._engine.run,), daemon=True).start()

    @property
    def saves(self) -> bool:
        """Is there anything to save when the process ends?"""
        return bool(self._loaded.snapshots and self._loaded.snapshots.durable)

    def stop(self, timeout: float) -> None:
        """Save what outlives the process; waits at most `timeout` seconds."""
        if self.saves:
            self._engine.stop(timeout)

    def handle(self, command: Command) -> None:
        """Do it, or begin to."""
        try:
            self._handle(command)
        except ModelkitError as error:
            self._connection.fail(getattr(command, "id", 0), error)

    def _handle(self, command: Command) -> None:
        model = self._loaded.model
        match command:
            case Generate():
                self._intake.take(command)
            case Embed() | Rerank():
                self._embed(command)
            case Cancel(id_):
                if not self._intake.cancel(id_):
                    self._engine.submit(command)
            case GetStats():
                self._engine.submit(command)
            case Tokenize(id_, text, add_special, parse_special):
                tokens = model.tokenize(text, add_special=add_special, parse_special=parse_special)
                self._connection.answer(id_, Tokens(tokens))
            case Detokenize(id_, tokens):
                self._connection.answer(id_, Text(model.detokenize(tokens)))
            case Load():
                raise UsageError("this runner has a model already")

    def _embed(self, command: Embed | Rerank) -> None:
        model, n_ctx = self._loaded.model, self._loaded.options.num_ctx
        if isinstance(command, Embed):
            texts = command.inputs
            inputs = tokenize_inputs(model, texts, n_ctx=n_ctx, truncate=command.truncate)
        else:
            query, texts = command.query, command.documents
            inputs = tokenize_pairs(model, query, texts, n_ctx=n_ctx, truncate=command.truncate)
        self._engine.submit(EmbeddingJob(command.id, inputs))
