"""Docker's config.json and credential helpers."""

import base64
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from modelkit.errors import AuthError
from modelkit.registry.auth import credentials
from modelkit.registry.auth.credentials import Credentials

HELPER = """\
#!/bin/sh
# Keeps one secret per host in files beside itself.
dir=$(dirname "$0")
echo "$1" >> "$dir/calls"
case $1 in
get) read -r host; cat "$dir/secret-$host" 2>/dev/null || { echo "not found"; exit 1; } ;;
store) cat > "$dir/stored" ;;
erase) cat > "$dir/erased" ;;
esac
"""


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where docker's config.json goes in this test; there is none yet."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    (tmp_path / "docker").mkdir()
    return tmp_path / "docker" / "config.json"


@pytest.fixture
def helper(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of a working credential helper named `files`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "docker-credential-files"
    program.write_text(HELPER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def basic(username: str, secret: str) -> str:
    return base64.b64encode(f"{username}:{secret}".encode()).decode()


def test_without_a_config_there_are_no_credentials(config: Path) -> None:
    assert credentials.find("registry.example.com") is None
    assert not config.exists()


def test_the_config_of_the_home_folder_is_read() -> None:
    path = Path.home() / ".docker" / "config.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"auths": {"r.example": {"auth": basic("a", "b:c")}}}))
    assert credentials.find("r.example") == Credentials("a", "b:c")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"auth": basic("a", "s")}, Credentials("a", "s")),
        ({"username": "a", "password": "s"}, Credentials("a", "s")),
        ({"identitytoken": "t"}, Credentials("<token>", "t", identity_token=True)),
        ({}, None),
    ],
)
def test_entries_of_every_kind(
    config: Path, entry: dict[str, str], expected: Credentials | None
) -> None:
    config.write_text(json.dumps({"auths": {"https://r.example:5000/v2/": entry}}))
    assert credentials.find("R.example:5000") == expected
    assert credentials.find("r.example") is None


def test_credentials_belong_to_exactly_one_host(config: Path) -> None:
    auths = {"localhost:5000": {"auth": basic("a", "s")}, "example.com": {"auth": basic("b", "s")}}
    config.write_text(json.dumps({"auths": auths}))
    for host in ("127.0.0.1:5000", "localhost:5001", "localhost", "evil.example.com", "example.co"):
        assert credentials.find(host) is None


@pytest.mark.parametrize("host", ["docker.io", "index.docker.io", "registry-1.docker.io"])
def test_docker_hub_has_one_entry_for_all_its_names(config: Path, host: str) -> None:
    config.write_text(json.dumps({"auths": {credentials.DOCKER_HUB: {"auth": basic("a", "s")}}}))
    assert credentials.find(host) == Credentials("a", "s")


@pytest.mark.parametrize(
    "setting", [{"credsStore": "files"}, {"credHelpers": {"r.example": "files"}}]
)
def test_a_credential_helper_is_asked(config: Path, helper: Path, setting: dict[str, Any]) -> None:
    config.write_text(json.dumps(setting))
    (helper / "secret-r.example").write_text('{"Username":"a","Secret":"s"}')
    assert credentials.find("r.example") == Credentials("a", "s")
    assert credentials.find("other.example") is None


def test_a_helper_may_keep_an_identity_token(config: Path, helper: Path) -> None:
    config.write_text('{"credsStore": "files"}')
    (helper / "secret-r.example").write_text('{"Username":"<token>","Secret":"t"}')
    found = credentials.find("r.example")
    assert found == Credentials("<token>", "t", identity_token=True)


def test_a_helper_that_answers_nonsense_is_an_error(config: Path, helper: Path) -> None:
    config.write_text('{"credsStore": "files"}')
    (helper / "secret-r.example").write_text("oops")
    with pytest.raises(AuthError, match=r"cannot read the credentials for r\.example"):
        credentials.find("r.example")


@pytest.mark.parametrize("content", ["{", "[]", '{"auths": {"r.example": {"auth": "%%%"}}}'])
def test_a_damaged_config_is_an_error(config: Path, content: str) -> None:
    config.write_text(content)
    with pytest.raises(AuthError) as caught:
        credentials.find("r.example")
    assert caught.value.hint is not None


def test_storing_keeps_everything_else_and_is_private(config: Path) -> None:
    config.write_text('{"auths": {"other": {"auth": "YTpi"}}, "psFormat": "x"}')
    config.chmod(0o644)
    assert credentials.store("r.example", "a", "s") == str(config)
    kept = json.loads(config.read_text())
    assert kept["psFormat"] == "x"
    assert set(kept["auths"]) == {"other", "r.example"}
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert credentials.find("r.example") == Credentials("a", "s")
    assert [path.name for path in config.parent.iterdir()] == ["config.json"]


def test_storing_makes_a_private_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "new"))
    credentials.store("docker.io", "a", "s")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert credentials.find("registry-1.docker.io") == Credentials("a", "s")


def test_storing_goes_through_the_helper(config: Path, helper: Path) -> None:
    config.write_text('{"credsStore": "files"}')
    assert credentials.store("r.example", "a", "s") == "files"
    stored = json.loads((helper / "stored").read_text())
    assert stored == {"ServerURL": "r.example", "Username": "a", "Secret": "s"}
    assert json.loads(config.read_text())["auths"] == {"r.example": {}}
    assert credentials.erase("r.example")
    assert (helper / "erased").read_text() == "r.example"


def test_a_missing_helper_is_an_error_when_storing(config: Path) -> None:
    config.write_text('{"credsStore": "none-such"}')
    with pytest.raises(AuthError, match="docker-credential-none-such"):
        credentials.store("r.example", "a", "s")


def test_erasing_forgets_one_host(config: Path) -> None:
    auths = {"https://r.example": {"auth": "YTpi"}, "other": {"auth": "YTpi"}}
    config.write_text(json.dumps({"auths": auths}))
    assert credentials.erase("r.example")
    assert not credentials.erase("r.example")
    assert set(json.loads(config.read_text())["auths"]) == {"other"}


def test_secrets_are_not_shown() -> None:
    assert "s3cret" not in repr(Credentials("a", "s3cret"))
