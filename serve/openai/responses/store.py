"""The responses that clients may come back to, in memory and within limits."""

from collections import OrderedDict
from typing import Any, NamedTuple

import msgspec
from quart import current_app

from modelkit.settings import uint
from modelkit.sizes import size_setting

_KEY = "modelkit.responses"
_MOST = 1000
_MOST_BYTES = 128 << 20

Item = dict[str, Any]


class Turn(msgspec.Struct):
    """One answered request: the response as it was sent, its own input, and all that came before.

    Items are in the form of modelkit.serve.openai.responses.items.
    """

    response: dict[str, Any]
    input: list[Item]
    earlier: list[Item]

    @property
    def conversation(self) -> list[Item]:
        """Everything said so far, the answer included."""
        output: list[Item] = self.response["output"]
        return [*self.earlier, *self.input, *output]


class _Kept(NamedTuple):
    """A turn as JSON, and the ids of its output."""

    data: bytes
    items: list[str]


class ResponseStore:
    """Turns by the id of their response; the ones not used for longest are forgotten first.

    They are kept as JSON, so that `most_bytes` is what they take. Each has its whole history, so
    that it can be continued when the turns before it are gone.
    """

    def __init__(self, most: int = _MOST, most_bytes: int = _MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._bytes = 0
        self._turns: OrderedDict[str, _Kept] = OrderedDict()
        self._items: dict[str, str] = {}

    def add(self, turn: Turn) -> bool:
        """Keep a turn; False when it is larger than all that may be kept."""
        data = msgspec.json.encode(turn)
        if len(data) > self._most_bytes or self._most == 0:
            return False
        name: str = turn.response["id"]
        self.delete(name)
        names = [item["id"] for item in turn.response["output"]]
        self._turns[name] = _Kept(data, names)
        self._bytes += len(data)
        self._items.update(dict.fromkeys(names, name))
        while self._bytes > self._most_bytes or len(self._turns) > self._most:
            self.delete(next(iter(self._turns)))
        return True

    def get(self, name: str) -> Turn | None:
        """The turn of a response, which counts as used now; None when it is not there."""
        kept = self._turns.get(name)
        if kept is None:
            return None
        self._turns.move_to_end(name)
        return msgspec.json.decode(kept.data, type=Turn)

    def delete(self, name: str) -> bool:
        """Forget a turn; False when it was not there."""
        kept = self._turns.pop(name, None)
        if kept is None:
            return False
        self._bytes -= len(kept.data)
        for item in kept.items:
            del self._items[item]
        return True

    def item(self, name: str) -> Item | None:
        """An item that the model made, by its id.

        Others are not found: their ids are the clients' own, and so could be another client's.
        """
        turn = self.get(self._items.get(name, ""))
        output = turn.response["output"] if turn else []
        return next((item for item in output if item["id"] == name), None)


def response_store() -> ResponseStore:
    """The store of the application that handles this request.

    MODELKIT_RESPONSES and MODELKIT_RESPONSES_MEMORY are its limits; raises UsageError for a size
    that is none.
    """
    store = current_app.extensions.get(_KEY)
    if not isinstance(store, ResponseStore):
        store = ResponseStore(
            uint("RESPONSES", _MOST), size_setting("RESPONSES_MEMORY", _MOST_BYTES)
        )
        current_app.extensions[_KEY] = store
    return store
