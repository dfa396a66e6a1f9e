"""Who may use the embedded registry: passwords, tokens, hosts and web pages."""

import http.client
from pathlib import Path

import bcrypt
import pytest
import urllib3

from modelkit.errors import UsageError
from modelkit.names import ModelName
from modelkit.registry.server.access import (
    TOKEN_LIFETIME,
    Accounts,
    Tokens,
    parse_scopes,
    read_htpasswd,
)
from modelkit.store import Store
from tests.registry.embedded import Registry, add_model, error_code, running_registry

USERS = {"alice": "wonder", "bob": "builder"}


def basic(user: str, password: str) -> str:
    return urllib3.make_headers(basic_auth=f"{user}:{password}")["authorization"]


ALICE, BOB, WRONG = basic("alice", "wonder"), basic("bob", "builder"), basic("alice", "builder")


def status(registry: Registry, method: str, path: str, authorization: str | None) -> int:
    headers = {} if authorization is None else {"Authorization": authorization}
    return registry.call(method, path, **headers).status


def test_without_accounts_everybody_may_push(store: Store) -> None:
    with running_registry(store) as registry:
        assert status(registry, "POST", "lab/model/blobs/uploads/", None) == 202


def test_basic_auth_lets_only_accounts_in(store: Store) -> None:
    add_model(store, ModelName.parse("lab/model:v1"))
    with running_registry(store, users=USERS) as registry:
        answer = registry.call("GET", "")
        assert (answer.status, error_code(answer)) == (401, "UNAUTHORIZED")
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="modelkit"'
        for path in ("", "lab/model/manifests/v1", "lab/model/tags/list"):
            assert status(registry, "GET", path, None) == 401
            assert status(registry, "GET", path, WRONG) == 401
            assert status(registry, "GET", path, basic("eve", "")) == 401
            assert status(registry, "GET", path, "Basic nonsense") == 401
            assert status(registry, "GET", path, "Bearer nonsense") == 401
            assert status(registry, "GET", path, ALICE) == 200
        assert status(registry, "POST", "lab/model/blobs/uploads/", ALICE) == 202
        assert status(registry, "POST", "lab/model/blobs/uploads/", None) == 401


def test_readers_may_not_push(store: Store) -> None:
    add_model(store, ModelName.parse("lab/model:v1"))
    with running_registry(store, users=USERS, readers=["bob"]) as registry:
        assert status(registry, "GET", "lab/model/manifests/v1", BOB) == 200
        assert status(registry, "GET", "", BOB) == 200
        answer = registry.call("POST", "lab/model/blobs/uploads/", Authorization=BOB)
        assert (answer.status, error_code(answer)) == (403, "DENIED")
        assert status(registry, "DELETE", "lab/model/manifests/v1", BOB) == 403
        assert status(registry, "DELETE", "lab/model/manifests/v1", ALICE) == 202


def test_anybody_may_pull_where_that_is_allowed(store: Store) -> None:
    add_model(store, ModelName.parse("lab/model:v1"))
    with running_registry(store, users=USERS, anonymous_pull=True) as registry:
        assert status(registry, "GET", "lab/model/manifests/v1", None) == 200
        assert status(registry, "POST", "lab/model/blobs/uploads/", None) == 401
        assert status(registry, "GET", "", None) == 401, "so that clients learn how to log in"


def token(registry: Registry, scope: str, authorization: str | None = ALICE) -> str:
    headers = {} if authorization is None else {"Authorization": authorization}
    url = f"{registry.url}/token?service=modelkit&scope={scope}"
    answer = registry.call("GET", url, **headers)
    assert answer.status == 200, answer.data
    body = answer.json()
    assert body["token"] == body["access_token"]
    assert body["expires_in"] == TOKEN_LIFETIME
    assert body["issued_at"].endswith("Z")
    return f"Bearer {body['token']}"


def test_the_bearer_challenge_leads_to_a_token(store: Store) -> None:
    with running_registry(store, users=USERS, bearer=True) as registry:
        answer = registry.call("POST", "lab/model/blobs/uploads/")
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == (
            f'Bearer realm="{registry.url}/token",service="modelkit",'
            'scope="repository:lab/model:pull,push"'
        )
        base = registry.call("GET", "").headers["WWW-Authenticate"]
        assert base == f'Bearer realm="{registry.url}/token",service="modelkit"'
        bearer = token(registry, "repository:lab/model:pull,push")
        assert status(registry, "POST", "lab/model/blobs/uploads/", bearer) == 202
        assert status(registry, "GET", "", bearer) == 200


def test_a_token_is_good_for_its_scope_only(store: Store) -> None:
    add_model(store, ModelName.parse("lab/model:v1"))
    add_model(store, ModelName.parse("lab/other:v1"))
    with running_registry(store, users=USERS, readers=["bob"], bearer=True) as registry:
        pull = token(registry, "repository:lab/model:pull")
        assert status(registry, "GET", "lab/model/manifests/v1", pull) == 200
        assert status(registry, "GET", "lab/other/manifests/v1", pull) == 401
        assert status(registry, "POST", "lab/model/blobs/uploads/", pull) == 401
        reader = token(registry, "repository:lab/model:pull,push", BOB)
        assert status(registry, "GET", "lab/model/manifests/v1", reader) == 200
        assert status(registry, "POST", "lab/model/blobs/uploads/", reader) == 401


def test_wrong_credentials_get_no_token(store: Store) -> None:
    with running_registry(store, users=USERS, bearer=True) as registry:
        url = f"{registry.url}/token?scope=repository:lab/model:pull"
        for headers in ({}, {"Authorization": WRONG}, {"Authorization": "Basic x"}):
            answer = registry.call("GET", url, **headers)
            assert (answer.status, error_code(answer)) == (401, "UNAUTHORIZED")
            assert answer.headers["WWW-Authenticate"].startswith("Basic")


def test_strangers_get_pull_tokens_where_that_is_allowed(store: Store) -> None:
    add_model(store, ModelName.parse("lab/model:v1"))
    with running_registry(store, users=USERS, bearer=True, anonymous_pull=True) as registry:
        stranger = token(registry, "repository:lab/model:pull,push", None)
        assert status(registry, "GET", "lab/model/manifests/v1", stranger) == 200
        assert status(registry, "POST", "lab/model/blobs/uploads/", stranger) == 401


def test_without_bearer_there_is_no_token_endpoint(store: Store) -> None:
    with running_registry(store, users=USERS) as registry:
        assert registry.call("GET", f"{registry.url}/token").status == 404


def test_a_token_of_another_server_or_an_edited_one_is_nothing() -> None:
    ours, theirs = Tokens(), Tokens()
    issued = ours.issue("alice", {"lab/model": ("pull",)}, now=1000.0)
    grant = ours.read(issued, now=1000.0 + TOKEN_LIFETIME)
    assert grant is not None
    assert grant.allows("lab/model", "pull")
    assert not grant.allows("lab/model", "push")
    assert ours.read(issued, now=1001.0 + TOKEN_LIFETIME) is None
    assert theirs.read(issued, now=1000.0) is None
    for edited in ("A" + issued[1:], issued[:-1], issued.replace(".", ""), "", ".", "ä.ö"):
        assert ours.read(edited, now=1000.0) is None


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        (["repository:lab/model:pull"], {"lab/model": ("pull",)}),
        (["repository:a/b:pull,push repository:c:pull"], {"a/b": ("pull", "push"), "c": ("pull",)}),
        (["repository:a:pull", "repository:a:push"], {"a": ("pull", "push")}),
        (["repository:a:*", "repository:b:delete"], {"a": ("pull", "push"), "b": ("push",)}),
        (["repository:a:fly"], {"a": ()}),
        (["registry:catalog:*", "repository", "", "repository:x"], {}),
    ],
)
def test_scopes(scopes: list[str], expected: dict[str, tuple[str, ...]]) -> None:
    assert parse_scopes(scopes) == expected


def write_htpasswd(folder: Path) -> Path:
    path = folder / "htpasswd"
    hashed = bcrypt.hashpw(b"wonder", bcrypt.gensalt(4)).decode()
    path.write_text(f"# people\n\nalice:{hashed}\nbob:{hashed.replace('$2b$', '$2y$', 1)}\n")
    return path


def test_an_htpasswd_file(store: Store, tmp_path: Path) -> None:
    with running_registry(store, htpasswd=write_htpasswd(tmp_path)) as registry:
        for _ in range(2):
            assert status(registry, "GET", "", basic("alice", "wonder")) == 200
            assert status(registry, "GET", "", basic("bob", "wonder")) == 200
            assert status(registry, "GET", "", basic("alice", "wrong")) == 401
            assert status(registry, "GET", "", basic("alice", "w" * 100)) == 401
            assert status(registry, "GET", "", basic("alice", "wonder\0")) == 401
            assert status(registry, "GET", "", basic("carol", "wonder")) == 401
            assert status(registry, "GET", "", None) == 401


def test_a_password_that_was_right_is_recognised_quickly(tmp_path: Path) -> None:
    path = tmp_path / "htpasswd"
    path.write_text("alice:" + bcrypt.hashpw(b"wonder", bcrypt.gensalt(4)).decode())
    accounts = Accounts(htpasswd=path)
    assert accounts.check("alice", b"wonder")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bcrypt, "checkpw", lambda *_: False)
        assert accounts.check("alice", b"wonder")
        assert not accounts.check("alice", b"wondeR")


@pytest.mark.parametrize(
    "text", ["alice:{SHA}abc", "alice:$apr1$x$y", "alice", "alice:plain", "alice:$2b$04$x"]
)
def test_an_htpasswd_file_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "htpasswd").write_text(f"\n{text}\n")
    with pytest.raises(UsageError, match="line 2: not a bcrypt entry"):
        read_htpasswd(tmp_path / "htpasswd")
    with pytest.raises(UsageError, match="cannot read the htpasswd file"):
        read_htpasswd(tmp_path / "gone")


# Web pages


def host_status(registry: Registry, host: str, **headers: str) -> int:
    connection = http.client.HTTPConnection(registry.host, timeout=20)
    try:
        connection.request("GET", "/v2/", headers={"Host": host, **headers})
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost:5000", 200),
        ("127.0.0.1", 200),
        ("[::1]:5000", 200),
        ("10.1.2.3", 200),
        ("models.localhost", 200),
        ("friend.example.com:5000", 200),
        ("evil.example.com", 403),
        ("localhost.evil.example.com", 403),
    ],
)
def test_on_loopback_a_foreign_host_is_dns_rebinding(
    store: Store, host: str, expected: int
) -> None:
    with running_registry(store, hosts=["friend.example.com"]) as registry:
        assert host_status(registry, host) == expected


def test_requests_from_web_pages_are_refused(store: Store) -> None:
    with running_registry(store) as registry:
        for origin in ("https://evil.example.com", "null", registry.url):
            assert host_status(registry, registry.host, Origin=origin) == 403
            answer = registry.call("POST", "lab/model/blobs/uploads/", Origin=origin)
            assert (answer.status, error_code(answer)) == (403, "DENIED")
