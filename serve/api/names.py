"""Model names as endpoints take them: trimmed, with source suffixes, found in the store."""

from typing import Literal, NamedTuple

from modelkit.errors import InvalidName, ModelNotFound
from modelkit.model import Model
from modelkit.names import ModelName
from modelkit.serve.api.errors import ApiError, NameErrors
from modelkit.serve.remote.places import LivesElsewhere, Place, place_of, require_cloud
from modelkit.store import Store


class Source(NamedTuple):
    """A name without its source suffix, and what the suffix said."""

    base: str
    kind: Literal["cloud", "local"] | None


def split_source(raw: str) -> Source:
    """Split `:cloud`, `:local` or a tag's `-cloud` off; raises ApiError when there are two."""
    source = _split(raw.strip())
    if source.kind is not None and _split(source.base).kind is not None:
        raise ApiError(400, f'use either :local or :cloud, not both: "{raw.strip()}"')
    return source


def find(store: Store, raw: str, errors: NameErrors) -> Model:
    """The model an inference endpoint was asked for; raises ApiError as the endpoint's table says.

    A model stored under the very name that was asked for wins over the meaning of a suffix.
    LivesElsewhere is raised for a model on another server that may be asked.
    """
    text = raw.strip()
    if not text:
        raise ApiError(errors.empty_status, errors.empty)
    if base := cloud_name(store, text):
        raise LivesElsewhere(Place(require_cloud("remote model"), base))
    source = split_source(text)
    stored = source.kind is None or _stored(store, text)
    try:
        model = Model.open(store, parse_name(text if stored else source.base, errors))
    except ModelNotFound:
        raise ApiError(404, errors.missing.format(raw=raw)) from None
    if model.config.remote_host:
        if source.kind == "local":
            raise ApiError(404, errors.missing.format(raw=raw))
        raise LivesElsewhere(place_of(model))
    _read_ahead(model)
    return model


def cloud_name(store: Store, raw: str) -> str | None:
    """What the cloud calls a model of its own; None for every other name, also one that is stored.

    Raises ApiError 400 for two suffixes.
    """
    source = split_source(raw)
    if source.kind != "cloud" or _stored(store, raw.strip()):
        return None
    return source.base


def target(raw: str, errors: NameErrors) -> ModelName:
    """A name that pull, delete or show works on: `x:20b:cloud` is the tag `20b-cloud`.

    Raises ApiError as the endpoint's table says.
    """
    text = raw.strip()
    if not text:
        raise ApiError(errors.empty_status, errors.empty)
    base, kind = split_source(text)
    if kind == "cloud":
        base = f"{base}-cloud" if ":" in base.rpartition("/")[2] else f"{base}:cloud"
    return parse_name(base, errors, raw)


def parse_name(text: str, errors: NameErrors, raw: str | None = None) -> ModelName:
    """A plain name; raises ApiError 400 with the endpoint's text, which shows `raw` or `text`."""
    try:
        return ModelName.parse(text)
    except InvalidName:
        raise ApiError(400, errors.invalid.format(raw=text if raw is None else raw)) from None


def _read_ahead(model: Model) -> None:
    """Have the files read here, in a worker thread, that the event loop would wait for later."""
    _ = model.capabilities(), model.template, model.system, model.parameters, model.messages


def _split(text: str) -> Source:
    base, colon, suffix = text.rpartition(":")
    if not colon:
        return Source(text, None)
    word = suffix.strip().lower()
    if word in ("cloud", "local"):
        return Source(base, "cloud" if word == "cloud" else "local")
    if word.endswith("-cloud") and "/" not in suffix:
        return Source(text.rstrip()[: -len("-cloud")], "cloud")
    return Source(text, None)


def _stored(store: Store, text: str) -> bool:
    try:
        return store.exists(ModelName.parse(text))
    except InvalidName:
        return False
