"""Reading the small layers of a stored model: texts, parameters, messages."""

import json
from collections.abc import Iterable

from modelkit.errors import StoreError
from modelkit.manifest import Descriptor
from modelkit.store import Store


def read_text(store: Store, layer: Descriptor) -> str:
    """A text layer; bytes that are not UTF-8 become U+FFFD. Raises BlobNotFound."""
    return store.read_blob(layer.digest).decode(errors="replace")


def read_parameters(store: Store, layers: Iterable[Descriptor]) -> dict[str, object]:
    """Params layers merged key by key, later ones winning; raises StoreError for a damaged one."""
    merged: dict[str, object] = {}
    for layer in layers:
        value = _read_json(store, layer)
        if not isinstance(value, dict):
            raise _damaged(layer)
        merged |= value
    return merged


def read_messages(store: Store, layer: Descriptor) -> list[dict[str, object]]:
    """A messages layer: objects with `role` and `content`; raises StoreError for a damaged one."""
    value = _read_json(store, layer)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _damaged(layer)
    return value


def _read_json(store: Store, layer: Descriptor) -> object:
    try:
        return json.loads(store.read_blob(layer.digest), parse_int=_number)
    except (ValueError, RecursionError):
        raise _damaged(layer) from None


def _number(text: str) -> int | float:
    # Go writes the float -0.0 as -0, which as an integer would lose its sign.
    return -0.0 if text == "-0" else int(text)


def _damaged(layer: Descriptor) -> StoreError:
    return StoreError(
        f"layer {layer.digest} is not a valid {layer.media_type}", hint="pull or build it again"
    )
