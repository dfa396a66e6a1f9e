"""The layers of a model that is being built, in the order of the manifest."""

from collections.abc import Iterable, Mapping

from modelkit import gojson
from modelkit.digest import Digest
from modelkit.manifest import Descriptor, MediaType
from modelkit.store import Store


class Layers:
    """Collects descriptors and stores small blobs; knows which blobs are new to the store.

    Replacing a kind of layer removes it from its old place and appends it, as Ollama does.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.items: list[Descriptor] = []
        self.created: set[Digest] = set()
        self._before = _blob_names(store)

    def note(self, digest: Digest) -> Digest:
        """Take notice of a blob that this build stored: is it new?"""
        if digest.filename not in self._before:
            self.created.add(digest)
        return digest

    def blob(self, media_type: str, data: bytes) -> Descriptor:
        """Store a small blob without making it a layer (the config is none)."""
        return Descriptor(media_type, self.note(self.store.add_bytes(data)), len(data))

    def append_text(self, media_type: str, text: str) -> None:
        """Add a layer of raw text."""
        self.items.append(self.blob(media_type, text.encode()))

    def remove(self, *media_types: str) -> None:
        """Drop all layers of these types."""
        self.items = [item for item in self.items if item.media_type not in media_types]

    def replace_json(self, media_type: str, data: bytes) -> None:
        """Make `data` the only layer of its type, with the final newline of Go's encoder."""
        self.remove(media_type)
        self.items.append(self.blob(media_type, data + b"\n"))

    def set_parameters(self, parameters: Mapping[str, object]) -> None:
        """Write the params layer: a JSON object, keys sorted."""
        self.replace_json(MediaType.PARAMS, gojson.dumps(parameters, sort_keys=True))

    def set_messages(self, messages: Iterable[tuple[str, str]]) -> None:
        """Write the messages layer from (role, content) pairs."""
        objects = [{"role": role, "content": content} for role, content in messages]
        self.replace_json(MediaType.MESSAGES, gojson.dumps(objects))

    def statuses(self) -> list[str]:
        """One status line a layer, in Ollama's words."""
        return [
            f"{'creating new' if item.digest in self.created else 'using existing'}"
            f" layer {item.digest}"
            for item in self.items
        ]


def _blob_names(store: Store) -> frozenset[str]:
    if not store.blobs.is_dir():
        return frozenset()
    return frozenset(path.name for path in store.blobs.iterdir())
