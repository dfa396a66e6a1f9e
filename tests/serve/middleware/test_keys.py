"""API keys: made, listed and ended by `modelkit key`, kept as hashes."""

import json
import stat

import pytest

from modelkit.errors import StoreError
from modelkit.serve.keys import SCOPES, KeyFile
from modelkit.store import Store
from tests.cli import Modelkit


@pytest.fixture
def key_file(models: Store) -> KeyFile:
    """The keys beside the store that the commands use."""
    return KeyFile.of(models)


def test_a_key_is_shown_once_and_kept_as_a_hash(modelkit: Modelkit, key_file: KeyFile) -> None:
    result = modelkit("key", "create", "laptop")
    key = result.out.strip()
    assert result.code == 0
    assert key.startswith("mk-")
    assert key not in key_file.path.read_text()
    assert stat.S_IMODE(key_file.path.stat().st_mode) == 0o600
    found = key_file.find(key)
    assert found is not None
    assert (found.name, found.scopes) == ("laptop", ("infer", "read"))


def test_keys_are_listed_without_what_could_be_used(modelkit: Modelkit, key_file: KeyFile) -> None:
    made = json.loads(modelkit("key", "create", "ci", "--scope", "admin", "--json").out)
    modelkit("key", "create", "app", "--scope", "infer")
    listed = json.loads(modelkit("key", "list", "--json").out)
    assert [(key["name"], key["scopes"]) for key in listed] == [
        ("ci", ["admin"]),
        ("app", ["infer"]),
    ]
    assert made["scopes"] == ["admin"]
    text = modelkit("key", "list").out
    assert "ci" in text
    assert made["key"] not in text
    assert key_file.all()[0].sha256 not in text


def test_an_ended_key_is_gone(modelkit: Modelkit, key_file: KeyFile) -> None:
    key = modelkit("key", "create", "old").out.strip()
    assert key_file.find(key)
    assert modelkit("key", "revoke", "old").code == 0
    assert key_file.find(key) is None
    assert "no key 'old'" in modelkit.fails(3, "key", "revoke", "old")


def test_a_name_is_used_once_and_can_be_typed(modelkit: Modelkit, models: Store) -> None:
    modelkit("key", "create", "ci")
    assert "there is a key 'ci' already" in modelkit.fails(2, "key", "create", "ci")
    assert "no name for a key" in modelkit.fails(2, "key", "create", "a b")
    assert "'root' is not one of" in modelkit.fails(2, "key", "create", "x", "--scope", "root")


def test_admin_may_do_everything_and_the_others_what_they_say(key_file: KeyFile) -> None:
    admin = key_file.find(key_file.create("a", ("admin",)))
    reader = key_file.find(key_file.create("r", ("read",)))
    assert admin
    assert reader
    assert all(map(admin.allows, SCOPES))
    assert [reader.allows(scope) for scope in SCOPES] == [False, True, False]


def test_what_another_process_changes_is_seen(key_file: KeyFile) -> None:
    assert key_file.all() == []
    other = KeyFile(key_file.path)
    key = other.create("new", ("infer",))
    assert key_file.find(key)
    other.revoke("new")
    assert key_file.find(key) is None


@pytest.mark.parametrize("content", ["", "{", '{"keys": [{}]}', '{"keys": [{"name": 1}]}', "[]"])
def test_a_damaged_file_lets_nobody_in(key_file: KeyFile, content: str) -> None:
    key = key_file.create("a", ("admin",))
    key_file.path.write_text(content)
    with pytest.raises(StoreError, match="is damaged"):
        key_file.find(key)


def test_the_file_may_lie_elsewhere(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert KeyFile.of(store).path == store.root.parent / "api-keys.json"
    monkeypatch.setenv("MODELKIT_API_KEYS", "/run/secrets/keys.json")
    assert str(KeyFile.of(store).path) == "/run/secrets/keys.json"
