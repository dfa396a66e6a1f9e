"""More clients than the queue has room for: each gets its own answer, or is told to come again."""

import asyncio
from pathlib import Path

from modelkit.store import Store
from tests.processes import serving
from tests.serve.load import ANSWERED, REFUSED, add_models, load

_CLIENTS = 40
_REQUESTS = 200


def test_every_client_gets_its_own_answer_or_a_503(store: Store, tmp_path: Path) -> None:
    add_models(store, tmp_path, _CLIENTS)
    settings = {
        "MODELKIT_MODELS": str(store.root),
        "MODELKIT_MAX_LOADED_MODELS": "1",
        "MODELKIT_MAX_QUEUE": "8",
    }
    with serving(tmp_path, "serve", "--listen", "127.0.0.1:0", **settings) as url:
        port = int(url.rpartition(":")[2])
        outcomes = asyncio.run(load(port, _CLIENTS, _REQUESTS, pause=0.1))
    assert outcomes.keys() == {ANSWERED, REFUSED}
    assert outcomes.total() == _REQUESTS
