"""The trust policy: scopes, requirements, identities, and failing closed."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkit.errors import Refused
from modelkit.names import ModelName
from modelkit.registry.trust.identity import Reference
from modelkit.registry.trust.keys import PrivateKey
from modelkit.registry.trust.policy import Policy, Verdict
from modelkit.registry.trust.requirements import AcceptAnything, Reject, SigstoreSigned
from modelkit.registry.trust.signing import StoreSignatures, sign
from modelkit.store import Store
from tests.registry.embedded import NAME, add_model, new_key

REJECT = [{"type": "reject"}]
ACCEPT = [{"type": "insecureAcceptAnything"}]


@pytest.fixture
def key(tmp_path: Path) -> PrivateKey:
    return new_key(tmp_path)


@pytest.fixture
def signed(store: Store, key: PrivateKey) -> Store:
    """A store with one signed model."""
    add_model(store)
    sign(NAME, store, key)
    return store


def load(folder: Path, value: object) -> Policy:
    path = folder / "policy.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return Policy.load(path)


def require(
    folder: Path, requirement: dict[str, Any], scope: str = "registry.example.com"
) -> Policy:
    """A policy with one sigstoreSigned requirement in one scope; everything else rejected."""
    requirement = {"type": "sigstoreSigned", "keyPath": "key.pem.pub", **requirement}
    kept = {name: value for name, value in requirement.items() if value is not None}
    return load(folder, {"default": REJECT, "transports": {"docker": {scope: [kept]}}})


def check(policy: Policy, store: Store, name: ModelName = NAME, asked: str = "") -> Verdict:
    """Check the stored model, perhaps under another name."""
    raw = store.manifest(name).raw
    wanted = ModelName.parse(asked) if asked else name
    return policy.check(wanted, raw, StoreSignatures(store, name))


def refusal(policy: Policy, store: Store, asked: str = "") -> Refused:
    with pytest.raises(Refused) as caught:
        check(policy, store, asked=asked)
    assert caught.value.exit_code == 4
    assert "\n" not in caught.value.message
    return caught.value


def test_a_signed_model_is_accepted(tmp_path: Path, signed: Store, key: PrivateKey) -> None:
    verdict = check(require(tmp_path, {}), signed)
    assert verdict.scope == "registry.example.com"
    assert {item.key for item in verdict.signatures} == {key.public}


def test_an_unsigned_model_is_refused_in_one_clear_line(tmp_path: Path, store: Store) -> None:
    new_key(tmp_path)
    digest = add_model(store).digest
    error = refusal(require(tmp_path, {}), store)
    assert error.message == (
        f"{NAME} is refused by the trust policy: no signature ({digest} has no signature)"
    )
    assert error.hint == f"{tmp_path}/policy.json, scope 'registry.example.com', decides"


def test_the_wrong_key_is_refused(tmp_path: Path, signed: Store) -> None:
    other = new_key(tmp_path, "other.pem").public
    error = refusal(require(tmp_path, {"keyPath": "other.pem.pub"}), signed)
    assert "not signed by a trusted key" in error.message
    assert other.fingerprint in error.message


def test_other_bytes_than_the_signed_ones_are_refused(tmp_path: Path, signed: Store) -> None:
    raw = signed.manifest(NAME).raw + b" "
    with pytest.raises(Refused, match="no signature"):
        require(tmp_path, {}).check(NAME, raw, StoreSignatures(signed, NAME))


def test_the_default_applies_where_no_scope_does(tmp_path: Path, signed: Store) -> None:
    policy = require(tmp_path, {}, scope="elsewhere.example.com")
    error = refusal(policy, signed)
    assert "rejects every model" in error.message
    assert "its default" in (error.hint or "")


FULL = NAME.full


@pytest.mark.parametrize(
    "scope",
    [
        "registry.example.com/lab/model:v1",
        "registry.example.com/lab/model",
        "registry.example.com/lab",
        "registry.example.com",
        "REGISTRY.example.com/Lab",
        "*.example.com",
        "*.com",
        "",
    ],
)
def test_each_kind_of_scope_applies(tmp_path: Path, store: Store, scope: str) -> None:
    add_model(store)
    policy = load(tmp_path, {"default": REJECT, "transports": {"docker": {scope: ACCEPT}}})
    assert check(policy, store).scope == scope.lower()


@pytest.mark.parametrize(
    "scope",
    [
        "registry.example.com/lab/model:v2",
        "registry.example.com/lab/mode",
        "registry.example.com/la",
        "registry.example.co",
        "example.com",
        "*.registry.example.com",
        "lab/model",
    ],
)
def test_a_scope_beside_the_model_does_not_apply(tmp_path: Path, store: Store, scope: str) -> None:
    add_model(store)
    refusal(load(tmp_path, {"default": REJECT, "transports": {"docker": {scope: ACCEPT}}}), store)


SCOPES = [FULL, "registry.example.com/lab/model", "registry.example.com/lab"]
SCOPES += ["registry.example.com", "*.example.com", "*.com", ""]


@pytest.mark.parametrize("position", range(len(SCOPES) - 1))
def test_the_most_specific_scope_wins_alone(tmp_path: Path, store: Store, position: int) -> None:
    add_model(store)
    scopes = dict.fromkeys(reversed(SCOPES[position + 1 :]), REJECT)
    scopes[SCOPES[position]] = ACCEPT
    policy = load(tmp_path, {"default": REJECT, "transports": {"docker": scopes}})
    assert check(policy, store).scope == SCOPES[position]
    scopes = dict.fromkeys(reversed(SCOPES[position + 1 :]), ACCEPT)
    scopes[SCOPES[position]] = REJECT
    refusal(load(tmp_path, {"default": ACCEPT, "transports": {"docker": scopes}}), store)


def test_the_port_belongs_to_the_host(tmp_path: Path, store: Store) -> None:
    name = ModelName.parse("127.0.0.1:5000/lab/m")
    manifest = add_model(store, name)
    source = StoreSignatures(store, name)
    for scope, accepted in (("127.0.0.1:5000", True), ("127.0.0.1", False)):
        policy = load(tmp_path, {"default": REJECT, "transports": {"docker": {scope: ACCEPT}}})
        if accepted:
            policy.check(name, manifest.raw, source)
        else:
            with pytest.raises(Refused):
                policy.check(name, manifest.raw, source)


def test_other_transports_do_not_apply(tmp_path: Path, store: Store) -> None:
    add_model(store)
    transports = {"docker-daemon": {"": ACCEPT}, "dir": {"/models": ACCEPT}}
    refusal(load(tmp_path, {"default": REJECT, "transports": transports}), store)


def test_all_requirements_must_hold(tmp_path: Path, signed: Store, key: PrivateKey) -> None:
    second = new_key(tmp_path, "second.pem")
    both = [{"type": "sigstoreSigned", "keyPath": f"{name}.pem.pub"} for name in ("key", "second")]
    policy = load(tmp_path, {"default": both})
    refusal(policy, signed)
    sign(NAME, signed, second)
    assert {item.key for item in check(policy, signed).signatures} == {key.public, second.public}
    refusal(load(tmp_path, {"default": [*both, *REJECT]}), signed)


def pem_of(key: PrivateKey) -> str:
    return base64.b64encode(key.public.pem).decode()


def test_every_way_to_name_keys(tmp_path: Path, signed: Store, key: PrivateKey) -> None:
    other = new_key(tmp_path, "other.pem")
    absolute = str(tmp_path / "key.pem.pub")
    for source in (
        {"keyPath": absolute},
        {"keyPaths": ["other.pem.pub", absolute]},
        {"keyData": pem_of(key)},
        {"keyDatas": [pem_of(other), pem_of(key)]},
    ):
        requirement = {"type": "sigstoreSigned", **source}
        assert check(load(tmp_path, {"default": [requirement]}), signed).signatures


def test_a_missing_key_file_refuses_its_scope_only(
    tmp_path: Path, signed: Store, store: Store
) -> None:
    error = refusal(require(tmp_path, {"keyPath": "gone.pub"}), signed)
    assert "no key at" in error.message
    other = require(tmp_path, {"keyPath": "gone.pub"}, scope="elsewhere")
    add_model(store, ModelName.parse("free/m"))
    assert isinstance(other.default_requirements[0], Reject)


@pytest.mark.parametrize(
    ("rule", "asked", "accepted"),
    [
        (None, "registry.example.com/lab/model:v1", True),
        (None, "registry.example.com/lab/model:v2", False),
        (None, "registry.example.com/lab/other:v1", False),
        ({"type": "matchExact"}, "registry.example.com/lab/model:v1", True),
        ({"type": "matchExact"}, "registry.example.com/lab/model:v2", False),
        ({"type": "matchRepoDigestOrExact"}, "registry.example.com/lab/model:v1", True),
        ({"type": "matchRepoDigestOrExact"}, "Registry.example.com/Lab/model:V1", True),
        ({"type": "matchRepository"}, "registry.example.com/lab/model:v2", True),
        ({"type": "matchRepository"}, "registry.example.com/lab/model2:v1", False),
        ({"type": "matchRepository"}, "mirror.example.com/lab/model:v1", False),
        (
            {"type": "exactReference", "dockerReference": "registry.example.com/lab/model:v1"},
            "mirror.example.com/any/thing:x",
            True,
        ),
        (
            {"type": "exactReference", "dockerReference": "registry.example.com/lab/model:v2"},
            "registry.example.com/lab/model:v2",
            False,
        ),
        (
            {"type": "exactRepository", "dockerRepository": "registry.example.com/lab/model"},
            "mirror.example.com/any/thing:x",
            True,
        ),
        (
            {"type": "exactRepository", "dockerRepository": "registry.example.com/lab"},
            "registry.example.com/lab/model:v1",
            False,
        ),
        (
            {
                "type": "remapIdentity",
                "prefix": "mirror.example.com/copies",
                "signedPrefix": "registry.example.com/lab",
            },
            "mirror.example.com/copies/model:v1",
            True,
        ),
        (
            {
                "type": "remapIdentity",
                "prefix": "mirror.example.com/copies",
                "signedPrefix": "registry.example.com/lab",
            },
            "mirror.example.com/copies2/model:v1",
            False,
        ),
        (
            {
                "type": "remapIdentity",
                "prefix": "mirror.example.com:5000",
                "signedPrefix": "registry.example.com",
            },
            "mirror.example.com:5000/lab/model:v1",
            True,
        ),
        (
            {
                "type": "remapIdentity",
                "prefix": "mirror.example.com",
                "signedPrefix": "registry.example.com",
            },
            "mirror.example.com:5000/lab/model:v1",
            False,
        ),
        (
            {
                "type": "remapIdentity",
                "prefix": "mirror.example.com/lab/model",
                "signedPrefix": "registry.example.com/lab/model",
            },
            "mirror.example.com/lab/model:v1",
            True,
        ),
        (
            {"type": "remapIdentity", "prefix": "unused.example.com", "signedPrefix": "x.y"},
            "registry.example.com/lab/model:v1",
            True,
        ),
    ],
)
def test_identities(
    tmp_path: Path, signed: Store, rule: object, asked: str, accepted: bool
) -> None:
    host = asked.split("/", maxsplit=1)[0]
    policy = require(tmp_path, {"signedIdentity": rule}, scope=host)
    if accepted:
        assert check(policy, signed, asked=asked).signatures
    else:
        error = refusal(policy, signed, asked=asked)
        assert f"it names {NAME.full}" in error.message


KEY = {"type": "sigstoreSigned", "keyPath": "k"}


@pytest.mark.parametrize(
    "value",
    [
        "",
        "not json",
        "[]",
        "[" * 100_000,
        {},
        {"default": []},
        {"default": {}},
        {"default": [7]},
        {"default": [{}]},
        {"default": ACCEPT, "extra": 1},
        '{"default":[{"type":"reject"}],"default":[{"type":"insecureAcceptAnything"}]}',
        '{"default":[{"type":"reject","type":"insecureAcceptAnything"}]}',
        {"default": [{"type": "insecureAcceptAnythin"}]},
        {"default": [{"type": "insecureAcceptAnything", "note": "x"}]},
        {"default": [{"type": "reject", "note": "x"}]},
        {"default": ACCEPT, "transports": []},
        {"default": ACCEPT, "transports": {"docker": []}},
        {"default": ACCEPT, "transports": {"docker": {"x": []}}},
        {"default": ACCEPT, "transports": {"dir": {"x": [{"type": "unknown"}]}}},
        {"default": ACCEPT, "transports": {"docker": {"https://x": REJECT}}},
        {"default": ACCEPT, "transports": {"docker": {"x/lab/": REJECT}}},
        {"default": ACCEPT, "transports": {"docker": {"x": REJECT, "X": ACCEPT}}},
        {"default": [{"type": "sigstoreSigned"}]},
        {"default": [{**KEY, "keyData": "AAAA"}]},
        {"default": [{**KEY, "keypath": "k"}]},
        {"default": [{"type": "sigstoreSigned", "keyPath": ""}]},
        {"default": [{"type": "sigstoreSigned", "keyPath": ["k"]}]},
        {"default": [{"type": "sigstoreSigned", "keyPaths": "k"}]},
        {"default": [{"type": "sigstoreSigned", "keyPaths": []}]},
        {"default": [{"type": "sigstoreSigned", "keyData": "?"}]},
        {"default": [{"type": "sigstoreSigned", "keyData": "AAAA"}]},
        {"default": [{**KEY, "signedIdentity": "matchExact"}]},
        {"default": [{**KEY, "signedIdentity": {"type": "matchAnything"}}]},
        {"default": [{**KEY, "signedIdentity": {"type": "matchExact", "x": 1}}]},
        {"default": [{**KEY, "signedIdentity": {"type": "exactReference"}}]},
        {
            "default": [
                {**KEY, "signedIdentity": {"type": "exactReference", "dockerReference": "h/m"}}
            ]
        },
        {
            "default": [
                {**KEY, "signedIdentity": {"type": "exactRepository", "dockerRepository": "h/m:t"}}
            ]
        },
        {
            "default": [
                {**KEY, "signedIdentity": {"type": "remapIdentity", "prefix": "h/m"}},
            ]
        },
        {"default": [{"type": "signedBy", "keyType": "GPGKeys", "what": 1}]},
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_policy_that_is_not_understood_refuses_everything(tmp_path: Path, value: object) -> None:
    with pytest.raises(Refused, match=r"policy\.json is not valid") as error:
        load(tmp_path, value)
    assert "\n" not in error.value.message


@pytest.mark.parametrize(
    "requirement",
    [
        {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/etc/pki/key"},
        {"type": "sigstoreSigned", "fulcio": {"caPath": "x"}, "rekorPublicKeyPath": "y"},
        {"type": "sigstoreSigned", "keyPath": "k", "rekorPublicKeyPath": "y"},
    ],
    ids=["gpg", "keyless", "transparency log"],
)
def test_known_kinds_that_are_not_supported_refuse_where_they_apply(
    tmp_path: Path, signed: Store, requirement: dict[str, object]
) -> None:
    scopes = {"elsewhere.example.com": [requirement]}
    policy = load(tmp_path, {"default": ACCEPT, "transports": {"docker": scopes}})
    check(policy, signed)
    error = refusal(load(tmp_path, {"default": [requirement]}), signed)
    assert "not supported" in error.message


def test_an_oversized_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="not valid: more than"):
        load(tmp_path, " " * 2_000_000)


def home_policy(home: Path, *parts: str, value: object) -> None:
    path = home.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def test_the_first_policy_file_found_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Path.home()
    monkeypatch.setattr("modelkit.registry.trust.policy._SYSTEM_POLICY", tmp_path / "system.json")
    assert Policy.default() == Policy.accepting_anything()
    (tmp_path / "system.json").write_text(json.dumps({"default": REJECT}))
    assert Policy.default().source.endswith("system.json")
    home_policy(home, ".config", "containers", "policy.json", value={"default": ACCEPT})
    assert Policy.default().source == str(home / ".config/containers/policy.json")
    home_policy(home, ".modelkit", "policy.json", value={"default": REJECT})
    assert Policy.default().source == str(home / ".modelkit/policy.json")
    (tmp_path / "named.json").write_text(json.dumps({"default": ACCEPT}))
    monkeypatch.setenv("MODELKIT_POLICY", str(tmp_path / "named.json"))
    assert Policy.default().default_requirements == (AcceptAnything(),)


def test_a_named_policy_that_is_missing_is_not_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELKIT_POLICY", str(tmp_path / "gone.json"))
    with pytest.raises(Refused, match="cannot read the trust policy"):
        Policy.default()


def test_a_dangling_policy_link_is_not_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path.home()
    (home / ".modelkit").mkdir(parents=True)
    (home / ".modelkit" / "policy.json").symlink_to("gone.json")
    with pytest.raises(Refused, match="cannot read the trust policy"):
        Policy.default()


def test_debians_own_policy_file_is_understood(tmp_path: Path, store: Store) -> None:
    """The form in which container tools ship /etc/containers/policy.json."""
    add_model(store)
    value = {"default": ACCEPT, "transports": {"docker-daemon": {"": ACCEPT}}}
    assert check(load(tmp_path, value), store) == Verdict("", ())


def test_key_paths_start_at_the_policy(tmp_path: Path) -> None:
    policy = load(tmp_path, {"default": [KEY]})
    requirement = policy.default_requirements[0]
    assert isinstance(requirement, SigstoreSigned)
    assert requirement.paths == (tmp_path / "k",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host/a", Reference("host/a")),
        ("Host:5000/A/b/c:Tag", Reference("host:5000/a/b/c", "tag")),
        ("h/a@sha256:" + "0" * 64, Reference("h/a", None, "sha256:" + "0" * 64)),
        ("h/a:t@sha256:" + "0" * 64, Reference("h/a", "t", "sha256:" + "0" * 64)),
        ("alone", None),
        ("alone:tag", None),
        ("", None),
        ("/a", None),
        ("h/", None),
        ("h//a", None),
        ("h/../a", None),
        ("h/a:", None),
        ("h/a:b:c", None),
        ("h/a@sha256:00", None),
        ("h/a b", None),
        ("h/a\n", None),
        ("h/ä", None),
        ("h/" + "a" * 2000, None),
    ],
)
def test_references(text: str, expected: Reference | None) -> None:
    assert Reference.parse(text) == expected


names = st.builds(
    "{}/{}/{}:{}".format,
    st.from_regex(r"[a-z0-9][a-z0-9.]{0,9}(:[0-9]{1,5})?", fullmatch=True),
    st.from_regex(r"[a-z0-9_][a-z0-9_-]{0,9}", fullmatch=True),
    st.from_regex(r"[a-z0-9_][a-z0-9_.-]{0,9}", fullmatch=True),
    st.from_regex(r"[a-z0-9_][a-z0-9_.-]{0,9}", fullmatch=True),
)


@given(names)
def test_every_model_name_is_a_reference(text: str) -> None:
    name = ModelName.parse(text)
    reference = Reference.parse(name.full)
    assert reference == Reference(f"{name.host}/{name.repository}".lower(), name.tag.lower())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["default", "transports", "docker", "type", "keyPath", "x"]), inner
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_a_policy_or_refused(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.json"
    path.write_text(json.dumps(value))
    message = ""
    try:
        Policy.load(path)
    except Refused as error:
        message = error.message
    assert "\n" not in message
