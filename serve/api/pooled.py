"""Requests that turn texts into vectors or scores: what they share, and the model they load."""

from collections.abc import Mapping
from typing import Any

import msgspec

from modelkit.durations import keep_alive_seconds
from modelkit.serve.api.errors import NameErrors
from modelkit.serve.api.options import Options
from modelkit.serve.api.state import state
from modelkit.serve.loading import Loading


class PooledRequest(msgspec.Struct, kw_only=True):
    """The fields that embedding and reranking have in common."""

    model: str = ""
    keep_alive: Any = None
    options: dict[str, Any] = {}

    def seconds_to_live(self) -> float | None:
        """keep_alive in seconds, None when not given; raises UsageError."""
        return None if self.keep_alive is None else keep_alive_seconds(self.keep_alive)

    async def loading(self, errors: NameErrors) -> Loading:
        """The model, found in the store; see pooled_loading."""
        keep_alive = self.seconds_to_live()
        return await pooled_loading(self.model, errors, self.options, keep_alive)


async def pooled_loading(
    name: str, errors: NameErrors, options: Mapping[str, Any] | None, keep_alive: float | None
) -> Loading:
    """How to load a model with its adapters; unknown options are named in a header of the answer.

    keep_alive is seconds, None as before. Raises ApiError 400 for options that are none, and for a
    name what `errors` say.
    """
    model = await state().catalogue.find(name, errors)
    merged = Options.merge(model, options)
    merged.report_ignored()
    load = merged.load_options(model, state().load_options, None)
    return Loading(model, load, keep_alive, own_adapters=True)
