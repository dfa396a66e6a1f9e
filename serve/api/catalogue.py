"""The models that requests ask for, kept as long as their manifests stay what they were."""

import asyncio

from modelkit.errors import InvalidName
from modelkit.model import Model
from modelkit.names import ModelName
from modelkit.serve.api.errors import NameErrors
from modelkit.serve.api.names import find
from modelkit.store import Store

_MOST = 256
"""Names that are kept."""

_Stamp = tuple[int, int, int]
_Kept = tuple[_Stamp | None, Model]


class Catalogue:
    """Finds models as `find` does. One that was asked for before costs a look at its manifest.

    To read a model's files takes a thread and several system calls: more than the rest of a short
    request. A manifest is only ever replaced by another file, which is how a change shows.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        # What was used last comes last.
        self._kept: dict[str, _Kept] = {}

    async def find(self, raw: str, errors: NameErrors) -> Model:
        """The model an inference endpoint was asked for; raises as `find`."""
        kept = self._kept.pop(raw, None)
        if kept is None or kept[0] != self._stamp(kept[1]):
            kept = await asyncio.to_thread(self._read, raw, errors)
        stamp, model = kept
        if stamp is not None:
            while len(self._kept) >= _MOST:
                del self._kept[next(iter(self._kept))]
            self._kept[raw] = stamp, model
        return model

    def _read(self, raw: str, errors: NameErrors) -> _Kept:
        """The model, and the stamp of its manifest if that alone says which model the name means.

        Another spelling, or a suffix, may come to mean another model that is stored later.
        """
        model = find(self._store, raw, errors)
        try:
            is_plain = ModelName.parse(raw.strip()).relative_path == model.name.relative_path
        except InvalidName:
            return None, model
        stamp = self._stamp(model)
        # The manifest may have been replaced before its stamp was taken.
        is_same = stamp is not None and self._store.manifest(model.name) == model.manifest
        return (stamp if is_plain and is_same else None), model

    def _stamp(self, model: Model) -> _Stamp | None:
        try:
            found = self._store.manifest_path(model.name).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
