"""Manifests, configs and Go's JSON: bytes that digests depend on."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkit import gojson
from modelkit.digest import Digest
from modelkit.errors import ManifestError
from modelkit.manifest import MAX_MANIFEST_SIZE, Descriptor, Manifest, MediaType, ModelConfig

DIGEST = Digest.of(b"")
CONFIG = Descriptor(MediaType.CONFIG, DIGEST, 0)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text()
    | st.floats(-(2**53), 2**53),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)  # fmt: skip


@pytest.mark.parametrize(
    ("data", "start", "end"),
    [
        (b"{{ .Prompt }}", "b507b9c2", "b315"),
        (b"{{ .System }} {{ .Prompt }}", "fe7ac77b", "91ed"),
        (b"Say hi!", "f29e82a8", "5851"),
        (b"Say bye!", "4c5f51fa", "cc86"),
        (b"MIT", "e5dcffe8", "a3b7"),
        (b"Apache-2.0", "2af71558", "a608"),
        (
            gojson.dumps({"stop": ["USER:", "ASSISTANT:"], "temperature": 1, "top_k": 10}) + b"\n",
            "1d0ad712",
            "1e37",
        ),
        (
            gojson.dumps(
                {"top_p": 0.7, "stop": ["<|endoftext|>"], "temperature": 0.6, "top_k": 10},
                sort_keys=True,
            )
            + b"\n",
            "12f58bb7",
            "4d35",
        ),
        (
            gojson.dumps(
                [
                    {"role": "assistant", "content": "What is my purpose?"},
                    {"role": "user", "content": "You run tests."},
                    {"role": "assistant", "content": "Oh, my god."},
                ]
            )
            + b"\n",
            "298baeaf",
            "ffc4",
        ),
    ],
)
def test_layers_have_the_digests_that_ollama_gives_them(data: bytes, start: str, end: str) -> None:
    digest = Digest.of(data)
    assert digest.hex.startswith(start)
    assert digest.hex.endswith(end)


def test_the_config_blob_has_the_bytes_that_ollama_writes() -> None:
    config = ModelConfig(
        model_family="test", model_families=("test",), model_type="0", file_type="unknown"
    )
    assert Digest.of(config.to_json()).hex == (
        "99759ad5b91e723db0393d698ffbb448b1b7df5ff6377a108c49254583b1bc8c"
    )
    assert ModelConfig.parse(config.to_json()) == config


def test_a_config_keeps_what_is_set_and_ignores_what_it_does_not_know() -> None:
    raw = b'{"model_format":"gguf","rootfs":{"diff_ids":[]},"context_length":256,"draft":null}'
    config = ModelConfig.parse(raw)
    assert config.context_length == 256
    assert b"rootfs" not in config.to_json()


@pytest.mark.parametrize("raw", [b"[]", b'{"model_family":1}', b'{"model_families":"x"}', b"{"])
def test_a_damaged_config_is_refused(raw: bytes) -> None:
    with pytest.raises(ManifestError):
        ModelConfig.parse(raw)


def test_a_new_manifest_has_the_bytes_that_ollama_writes() -> None:
    layer = Descriptor(MediaType.MODEL, DIGEST, 0, from_="a<b.gguf")
    manifest = Manifest.new(CONFIG, [layer])
    assert manifest.raw == (
        b'{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",'
        b'"config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"'
        + str(DIGEST).encode()
        + b'","size":0},"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"'
        + str(DIGEST).encode()
        + b'","size":0,"from":"a\\u003cb.gguf"}]}\n'
    )
    assert Manifest.parse(manifest.raw) == manifest


def test_a_manifest_without_layers_says_null() -> None:
    assert Manifest.new(CONFIG, []).raw.endswith(b'"layers":null}\n')


def test_a_parsed_manifest_keeps_its_bytes() -> None:
    raw = json.dumps({"schemaVersion": 2, "config": CONFIG.to_json(), "layers": []}, indent=3)
    manifest = Manifest.parse(raw.encode())
    assert manifest.raw == raw.encode()
    assert manifest.digest == Digest.of(raw.encode())
    assert manifest.media_type == MediaType.OCI_MANIFEST


GOOD = {"schemaVersion": 2, "config": CONFIG.to_json(), "layers": []}


@pytest.mark.parametrize(
    "change",
    [
        {"schemaVersion": 1},
        {"layers": "x"},
        {"layers": [1]},
        {"layers": [{"digest": str(DIGEST), "size": 1}]},
        {"layers": [CONFIG.to_json() | {"digest": "sha256:../../../etc/passwd"}]},
        {"layers": [CONFIG.to_json() | {"digest": None}]},
        {"layers": [CONFIG.to_json() | {"size": -1}]},
        {"layers": [CONFIG.to_json() | {"size": True}]},
        {"layers": [CONFIG.to_json() | {"size": "1"}]},
        {"layers": [CONFIG.to_json() | {"annotations": {"a": 1}}]},
        {"config": []},
        {"mediaType": 5},
        {"subject": "x"},
    ],
)
def test_a_damaged_manifest_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ManifestError):
        Manifest.parse(json.dumps(GOOD | change).encode())


@pytest.mark.parametrize(
    "raw", [b"", b"null", b"[" * 100_000, b"\xff", b" " * (MAX_MANIFEST_SIZE + 1)]
)
def test_bytes_that_are_no_manifest_are_refused(raw: bytes) -> None:
    with pytest.raises(ManifestError):
        Manifest.parse(raw)


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_parse_or_are_refused(raw: bytes) -> None:
    try:
        manifest = Manifest.parse(raw)
    except ManifestError:
        return
    assert manifest.raw == raw


@pytest.mark.parametrize(
    ("number", "text"),
    [(1.0, "1"), (1e6, "1000000"), (0.6, "0.6"), (1e-6, "0.000001"), (1e-7, "1e-7"),
     (1e20, "1" + "0" * 20), (1e21, "1e+21"), (-1.5e300, "-1.5e+300"),
     (0.1 + 0.2, "0.30000000000000004"), (5e-324, "5e-324")],
)  # fmt: skip
def test_floats_look_as_go_prints_them(number: float, text: str) -> None:
    assert gojson.format_float(number) == text


@given(JSON)
def test_json_means_the_same_to_other_readers(value: object) -> None:
    raw = gojson.dumps(value)
    assert json.loads(raw) == value
    assert not set(b"<>&") & set(raw)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_has_no_nan_or_infinity(value: float) -> None:
    with pytest.raises(ValueError, match="JSON cannot hold"):
        gojson.dumps(value)
