"""Signing in: Basic, bearer tokens, Ollama's key challenge; and where credentials never go."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from hypothesis import given
from hypothesis import strategies as st

from modelkit.digest import Digest
from modelkit.errors import AuthError
from modelkit.registry.auth import credentials
from modelkit.registry.auth.authorizer import Challenge, may_send
from modelkit.registry.auth.credentials import Credentials
from modelkit.registry.auth.login import login, logout
from modelkit.registry.client import RegistryClient
from modelkit.registry.trust import keys
from tests.registry.servers import DockerRegistry, Reply, Request, Respond, WebServer

HASH_OF_NOTHING = (
    "ZTNiMGM0NDI5OGZjMWMxNDlhZmJmNGM4OTk2ZmI5MjQyN2FlNDFlNDY0OWI5MzRjYTQ5NTk5MWI3ODUyYjg1NQ=="
)
ALICE = Credentials("alice", "s3cret")


def user_of(request: Request) -> str:
    """The user name and password of a Basic request."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return base64.b64decode(token).decode() if scheme == "Basic" else ""


def challenge(realm: str) -> Reply:
    line = f'Bearer realm="{realm}",service="lab",scope="repository:lab/m:pull"'
    return Reply(401, headers={"WWW-Authenticate": line})


@pytest.fixture
def bearer() -> Iterator[WebServer]:
    """A registry with its token server on the same origin; `/v2/` wants the newest token."""
    given: list[str] = []

    def respond(request: Request) -> Reply:
        if request.path.startswith("/token"):
            if user_of(request) not in ("alice:s3cret", ""):
                return Reply(401)
            given.append(f"token-{len(given)}")
            return Reply(body=json.dumps({"token": given[-1]}).encode())
        if request.path == "/expire":
            given.append("nobody's")
            return Reply()
        if request.headers.get("authorization") != f"Bearer {(given or [''])[-1]}":
            return challenge(f"{server.url}/token?account=x")
        return Reply()

    with WebServer(respond) as server:
        yield server


def test_a_bearer_token_is_fetched_with_the_password_and_used(bearer: WebServer) -> None:
    with RegistryClient(bearer.host, credentials=ALICE) as client:
        client.ping()
        client.ping()
    asked = bearer.asked("GET", "/token")
    assert [user_of(request) for request in asked] == ["alice:s3cret"]
    query = parse_qs(urlsplit(asked[0].path).query)
    assert query == {"account": ["x"], "scope": ["repository:lab/m:pull"], "service": ["lab"]}
    with_password = [request for request in bearer.requests if user_of(request)]
    assert with_password == asked


def test_an_anonymous_token_is_fetched_without_credentials(bearer: WebServer) -> None:
    with RegistryClient(bearer.host) as client:
        client.ping()
    assert "authorization" not in bearer.asked("GET", "/token")[0].headers


def test_an_expired_token_is_renewed(bearer: WebServer) -> None:
    with RegistryClient(bearer.host, credentials=ALICE) as client:
        client.ping()
        client.request("GET", "/expire", action="expire").release_conn()
        client.ping()
    assert len(bearer.asked("GET", "/token")) == 2


def test_a_wrong_password_at_the_token_server_is_an_auth_error(bearer: WebServer) -> None:
    with (
        RegistryClient(bearer.host, credentials=Credentials("alice", "wrong")) as client,
        pytest.raises(AuthError, match="refused the password of alice") as caught,
    ):
        client.ping()
    assert "wrong" not in caught.value.message


def test_a_token_that_never_suffices_is_an_auth_error() -> None:
    def respond(request: Request) -> Reply:
        if request.path.startswith("/token"):
            return Reply(body=b'{"access_token":"t"}')
        return challenge(f"{server.url}/token")

    with (
        WebServer(respond) as server,
        RegistryClient(server.host) as client,
        pytest.raises(AuthError, match="unauthorized: access denied"),
    ):
        client.ping()


def test_an_identity_token_is_exchanged() -> None:
    def respond(request: Request) -> Reply:
        if request.path == "/token":
            form = dict(parse_qsl(request.body.decode()))
            good = form["refresh_token"] == "t" and form["grant_type"] == "refresh_token"
            return Reply(body=b'{"access_token":"new"}') if good else Reply(400)
        signed_in = request.headers.get("authorization") == "Bearer new"
        return Reply() if signed_in else challenge(f"{server.url}/token")

    user = Credentials("<token>", "t", identity_token=True)
    with WebServer(respond) as server, RegistryClient(server.host, credentials=user) as client:
        client.ping()
    assert server.asked("POST", "/token")


def foreign_realm(token_server: WebServer) -> Respond:
    return lambda request: (
        Reply()
        if request.headers.get("authorization") == "Bearer t"
        else challenge(f"{token_server.url}/token")
    )


def token(_request: Request) -> Reply:
    return Reply(body=b'{"token":"t"}')


def test_the_password_is_not_sent_to_a_foreign_token_server() -> None:
    with (
        WebServer(token) as other,
        WebServer(foreign_realm(other)) as server,
        RegistryClient(server.host, credentials=ALICE) as client,
        pytest.raises(AuthError, match="send its password to another host") as caught,
    ):
        client.ping()
    assert other.requests == []
    assert caught.value.hint is not None
    assert f"modelkit login {other.host}" in caught.value.hint


def test_a_foreign_token_server_gets_the_password_configured_for_it() -> None:
    with WebServer(token) as other, WebServer(foreign_realm(other)) as server:
        credentials.store(server.host, "alice", "registry-secret")
        credentials.store(other.host, "bob", "token-secret")
        with RegistryClient(server.host) as client:
            client.ping()
    assert [user_of(request) for request in other.requests] == ["bob:token-secret"]
    assert all("secret" not in user_of(request) for request in server.requests)


def test_a_foreign_token_server_may_give_anonymous_tokens() -> None:
    with (
        WebServer(token) as other,
        WebServer(foreign_realm(other)) as server,
        RegistryClient(server.host) as client,
    ):
        client.ping()
    assert "authorization" not in other.requests[0].headers


@pytest.mark.parametrize(
    ("registry", "realm", "allowed"),
    [
        ("https://r.example", "https://r.example/token", True),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000/token", True),
        ("https://gitlab.example.com:5050", "https://gitlab.example.com/jwt/auth", True),
        ("https://registry.gitlab.com", "https://gitlab.com/jwt/auth", True),
        ("https://example.com", "https://auth.example.com/token", True),
        ("https://registry-1.docker.io", "https://auth.docker.io/token", True),
        ("https://registry-1.docker.io", "http://auth.docker.io/token", False),
        ("https://evil.example", "https://auth.docker.io/token", False),
        ("https://a.azurecr.io", "https://b.azurecr.io/token", False),
        ("https://good.co.uk", "https://evil.co.uk/token", False),
        ("https://example.com", "https://notexample.com/token", False),
        ("https://example.com", "https://com/token", False),
        ("https://r.example", "http://r.example/token", False),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token", False),
        ("http://127.0.0.1:5000", "https://127.0.0.1:5000/token", False),
        ("https://10.0.0.1", "https://0.0.1/token", False),
    ],
)
def test_where_a_password_may_go(registry: str, realm: str, allowed: bool) -> None:
    assert may_send(registry, realm) is allowed


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key where Ollama keeps it."""
    path = Path.home() / ".ollama" / "id_ed25519"
    keys.generate_openssh(path)
    return path


def signed_challenge(server_of: Callable[[], WebServer], public: bytes) -> Respond:
    """A registry that gives a token only to whoever signs for the key, as Ollama's does."""
    wire = public.split()[1].decode()
    verifier = load_ssh_public_key(public)
    assert isinstance(verifier, Ed25519PublicKey)

    def respond(request: Request) -> Reply:
        server = server_of()
        if request.headers.get("authorization") == "Bearer t":
            return Reply()
        if not request.path.startswith("/token"):
            return challenge(f"{server.url}/token")
        given, _, signature = request.headers.get("authorization", "").partition(":")
        if given != wire:
            return Reply(401)
        message = f"GET,{server.url}{request.path},{HASH_OF_NOTHING}"
        verifier.verify(base64.b64decode(signature), message.encode())
        return Reply(body=b'{"token":"t"}')

    return respond


def test_the_key_challenge_of_ollamas_registry_is_answered(key: Path) -> None:
    public = key.with_name("id_ed25519.pub").read_bytes()
    with (
        WebServer(signed_challenge(lambda: server, public)) as server,
        RegistryClient(server.host) as client,
    ):
        client.ping()
    query = urlsplit(server.asked("GET", "/token")[-1].path).query
    assert [name for name, _ in parse_qsl(query)] == ["nonce", "scope", "service", "ts"]


def test_the_key_signs_nothing_for_another_host(key: Path) -> None:
    with (
        WebServer(lambda _request: Reply(401)) as other,
        WebServer(foreign_realm(other)) as server,
        RegistryClient(server.host) as client,
        pytest.raises(AuthError),
    ):
        client.ping()
    assert all("authorization" not in request.headers for request in other.requests)


def test_basic_sign_in_at_a_real_registry(locked_registry: DockerRegistry) -> None:
    with RegistryClient(locked_registry.host, credentials=ALICE) as client:
        client.ping()
        assert client.blob_size("lab/m", Digest.of(b"none")) is None


def test_a_wrong_password_is_refused_once(locked_registry: DockerRegistry) -> None:
    user = Credentials("alice", "wrong")
    with (
        RegistryClient(locked_registry.host, credentials=user) as client,
        pytest.raises(AuthError, match="refused the password of alice") as caught,
    ):
        client.ping()
    assert (
        caught.value.hint == f"run `modelkit login {locked_registry.host}` again, or ask for access"
    )


def test_no_password_at_all_says_how_to_sign_in(locked_registry: DockerRegistry) -> None:
    with (
        RegistryClient(locked_registry.host) as client,
        pytest.raises(AuthError, match="wants a user name and password") as caught,
    ):
        client.ping()
    assert caught.value.hint == f"run `modelkit login {locked_registry.host}`"


def test_login_keeps_a_password_that_works_and_logout_forgets_it(
    locked_registry: DockerRegistry,
) -> None:
    host = locked_registry.host
    with pytest.raises(AuthError):
        login(host, "alice", "wrong")
    assert credentials.find(host) is None
    assert login(host, "alice", "s3cret") == str(credentials.config_path())
    with RegistryClient(host) as client:
        client.ping()
    assert logout(host)
    assert not logout(host)


def test_challenges_are_read_with_commas_and_quotes_in_them() -> None:
    line = 'Bearer realm="https://r.example/t?a=1,2",service="a b", scope="x:y:pull,push" , n=5'
    read = Challenge.parse(line)
    assert read.scheme == "bearer"
    assert read.get("realm") == "https://r.example/t?a=1,2"
    assert (read.get("service"), read.get("scope"), read.get("n")) == ("a b", "x:y:pull,push", "5")


@given(st.text())
def test_no_challenge_breaks_the_reader(header: str) -> None:
    assert isinstance(Challenge.parse(header).get("realm"), str)
