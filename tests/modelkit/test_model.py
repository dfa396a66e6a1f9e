"""A stored model as `list`, `show` and the HTTP API see it."""

import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkit.compiler.build import build
from modelkit.compiler.recipe import Recipe
from modelkit.errors import BlobNotFound, ModelNotFound, StoreError
from modelkit.manifest import MediaType, ModelConfig
from modelkit.model import Model
from modelkit.model.description import describe, parameters_text, shortest_float
from modelkit.names import ModelName
from modelkit.store import Store
from tests.modelkit.gguf_files import write_gguf
from tests.modelkit.models import BERT, JINJA, LLAMA, NAME, make, stored


def test_details_say_what_the_model_is(store: Store, tmp_path: Path) -> None:
    model = make(store, tmp_path, LLAMA)
    assert list(model.details().items()) == [
        ("parent_model", "weights.gguf"),
        ("format", "gguf"),
        ("family", "llama"),
        ("families", ["llama"]),
        ("parameter_size", "256"),
        ("quantization_level", "F16"),
    ]
    lengths = {"context_length": 2048, "embedding_length": 64}
    assert model.details(lengths=True) == model.details() | lengths


def test_a_child_names_its_parent(store: Store, tmp_path: Path) -> None:
    make(store, tmp_path, LLAMA)
    build(Recipe(base="test", system="x"), ModelName.parse("child"), store)
    assert Model.open(store, ModelName.parse("child")).details()["parent_model"] == "test:latest"


def test_a_model_is_found_in_any_case_and_keeps_its_spelling(store: Store, tmp_path: Path) -> None:
    make(store, tmp_path, LLAMA)
    assert Model.open(store, ModelName.parse("TEST:Latest")).name.short == "test:latest"
    with pytest.raises(ModelNotFound):
        Model.open(store, ModelName.parse("other"))


def test_size_and_digest_are_those_of_the_manifest(store: Store, tmp_path: Path) -> None:
    model = make(store, tmp_path, LLAMA, system="hi")
    assert model.digest == store.manifest(NAME).digest
    assert model.size == sum(path.stat().st_size for path in store.blobs.iterdir())


@pytest.mark.parametrize(
    ("metadata", "template", "expected"),
    [
        (LLAMA, None, ["completion"]),
        (BERT, None, ["embedding"]),
        (LLAMA | {"llama.vision.block_count": 2}, None, ["completion", "vision"]),
        (LLAMA | {"llama.audio.block_count": 2}, None, ["completion", "audio"]),
        (LLAMA, "{{ .Prompt }}{{ .Suffix }}", ["completion", "insert"]),
        (LLAMA, "{{ if $.Tools }}{{ .Prompt }}{{ end }}", ["completion", "tools"]),
        (
            LLAMA,
            "{{ range .Messages }}<think>{{ .Thinking }}</think>{{ end }}",
            ["completion", "thinking"],
        ),
        (LLAMA, "{{ range .Messages }}{{ .Thinking }}{{ end }}", ["completion"]),
        (LLAMA, '.Tools {{ ".Tools" }} {{ `{{ .Tools }}` }}', ["completion"]),
        (
            LLAMA | {"tokenizer.chat_template": "{% if tools %}<think>{{ x }}</think>"},
            None,
            ["tools", "thinking", "completion"],
        ),
        (
            LLAMA | {"tokenizer.chat_template": "{{ content.split('</think>')[-1] }}"},
            None,
            ["thinking", "completion"],
        ),
        (
            LLAMA | {"tokenizer.chat_template": "{{ reasoning_content.split('</think>') }}"},
            None,
            ["completion"],
        ),
        (LLAMA | {"tokenizer.chat_template": "tools"}, "{{ .Prompt }}", ["tools", "completion"]),
        (LLAMA | {"tokenizer.chat_template": "x"}, "{{ .Prompt }}", ["completion"]),
        (LLAMA | {"tokenizer.chat_template": "x"}, "{{ .Tools }}", ["completion", "tools"]),
        (LLAMA | {"tokenizer.chat_template.tool_use": "x"}, None, ["tools", "completion"]),
        (LLAMA | {"general.architecture": "gpt-oss"}, None, ["completion", "thinking"]),
    ],
)
def test_capabilities_come_from_the_weights_and_the_template_in_use(
    metadata: dict[str, object],
    template: str | None,
    expected: list[str],
    store: Store,
    tmp_path: Path,
) -> None:
    assert make(store, tmp_path, metadata, template=template).capabilities() == expected


def test_a_setting_puts_the_go_template_in_charge(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = LLAMA | {"tokenizer.chat_template": "tools"}
    model = make(store, tmp_path, metadata, template="{{ .Prompt }}")
    assert (model.go_template, model.capabilities()) == (None, ["tools", "completion"])
    monkeypatch.setenv("OLLAMA_GO_TEMPLATE", "1")
    again = Model.open(store, model.name)
    assert (again.go_template, again.capabilities()) == ("{{ .Prompt }}", ["completion"])


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({"clip.has_vision_encoder": True}, ["completion", "vision"]),
        ({"clip.has_audio_encoder": True}, ["completion", "vision", "audio"]),
        (
            {"clip.has_audio_encoder": True, "clip.projector_type": "gemma3nv"},
            ["completion", "vision"],
        ),
    ],
)
def test_a_projector_lets_a_model_see(
    extra: dict[str, object], expected: list[str], store: Store, tmp_path: Path
) -> None:
    clip = {"general.architecture": "clip"} | extra
    files = {
        "a.gguf": write_gguf(tmp_path / "a.gguf", LLAMA),
        "b.gguf": write_gguf(tmp_path / "b.gguf", clip),
    }
    build(Recipe(files=files), NAME, store)
    model = Model.open(store, NAME)
    assert model.capabilities() == expected
    assert describe(model)["projector_info"] == clip
    assert [path.name for path in model.projectors] == [model.manifest.layers[1].digest.filename]


def test_capabilities_of_the_config_come_first_and_none_twice(store: Store, tmp_path: Path) -> None:
    weights = write_gguf(tmp_path / "x.gguf", LLAMA).read_bytes()
    config = ModelConfig(capabilities=("vision", "completion"))
    assert stored(store, config, (MediaType.MODEL, weights)).capabilities() == [
        "vision",
        "completion",
    ]


def test_the_description_has_the_references_keys_in_its_order(store: Store, tmp_path: Path) -> None:
    model = make(
        store,
        tmp_path,
        LLAMA,
        template="{{ .Prompt }}",
        system="Be brief.",
        licenses=("MIT", "Apache-2.0"),
        parameters={"top_k": 3},
        messages=(("user", "hi"),),
        renderer="r",
        parser="p",
        requires="0.1.0",
    )
    described = describe(model)
    assert list(described) == [
        *("license", "modelfile", "parameters", "template", "system", "renderer", "parser"),
        *("details", "messages", "model_info", "tensors", "capabilities", "requires"),
    ]
    assert described["license"] == "MIT\nApache-2.0"
    assert described["messages"] == [{"role": "user", "content": "hi"}]
    assert described["tensors"] == [
        {"name": "token_embd.weight", "type": "F32", "shape": [64, 3]},
        {"name": "output_norm.weight", "type": "F32", "shape": [64]},
    ]


def test_model_info_hides_two_keys_and_empties_the_arrays(store: Store, tmp_path: Path) -> None:
    model = make(store, tmp_path, LLAMA | JINJA | {"llama.odd": float("nan")})
    info = describe(model)["model_info"]
    assert info == {
        "general.architecture": "llama",
        "general.file_type": 1,
        "general.parameter_count": 256,
        "llama.attention.layer_norm_rms_epsilon": 1e-05,
        "llama.block_count": 1,
        "llama.context_length": 2048,
        "llama.embedding_length": 64,
        "llama.odd": None,
        "tokenizer.ggml.tokens": None,
    }
    assert list(info) == sorted(info)
    assert describe(model, verbose=True)["model_info"] == info | {
        "tokenizer.ggml.tokens": ["a", "b", "c"]
    }


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_32_bit_float_is_shown_short_and_exact(number: float) -> None:
    shown = shortest_float(number)
    assert struct.pack("f", shown) == struct.pack("f", number)
    assert float(f"{shown:.9g}") == shown


def test_the_template_shown_is_the_one_in_use(store: Store, tmp_path: Path) -> None:
    assert describe(make(store, tmp_path, LLAMA))["template"] == "{{ .Prompt }}"
    assert describe(make(store, tmp_path, LLAMA | JINJA))["template"] == "{{ messages }}"
    own = make(store, tmp_path, LLAMA | JINJA, template="{{ .Response }}")
    assert describe(own)["template"] == "{{ .Response }}"


def test_an_unknown_quantization_is_looked_up_in_the_weights(store: Store, tmp_path: Path) -> None:
    weights = write_gguf(tmp_path / "x.gguf", LLAMA).read_bytes()
    model = stored(store, ModelConfig(file_type="unknown"), (MediaType.MODEL, weights))
    assert model.details()["quantization_level"] == "F16"


def test_the_last_text_wins_and_parameters_merge(store: Store) -> None:
    model = stored(
        store,
        ModelConfig(),
        (MediaType.SYSTEM, b"one"),
        (MediaType.SYSTEM, b"two"),
        (MediaType.PROMPT, b"legacy"),
        (MediaType.PARAMS, b'{"top_k":1,"seed":1}'),
        (MediaType.PARAMS, b'{"top_k":2,"min_p":null}'),
        (MediaType.LICENSE, b"MIT"),
        (MediaType.LICENSE, b"ISC"),
        (MediaType.EMBED, b"obsolete"),
    )
    assert (model.system, model.template, model.licenses) == ("two", "legacy", ["MIT", "ISC"])
    assert model.parameters == {"top_k": 2, "seed": 1, "min_p": None}
    assert "min_p" not in parameters_text(model.parameters)


def test_a_model_that_lives_elsewhere_has_a_description(store: Store) -> None:
    config = ModelConfig(
        model_format="", model_family="llama", remote_host="http://h:1", remote_model="big"
    )
    described = describe(stored(store, config))
    assert described["model_info"] == {"general.architecture": "llama"}
    assert (described["remote_host"], described["remote_model"]) == ("http://h:1", "big")
    assert "tensors" not in described


def test_missing_weights_are_told_apart_from_a_missing_model(store: Store, tmp_path: Path) -> None:
    model = make(store, tmp_path, LLAMA)
    model.gguf_path.unlink()
    broken = Model.open(store, NAME)
    assert broken.details(lengths=True)["family"] == "llama"
    assert broken.capabilities() == []
    with pytest.raises(BlobNotFound):
        describe(broken)


@pytest.mark.parametrize(
    ("media_type", "data"),
    [
        (MediaType.PARAMS, b"{"),
        (MediaType.PARAMS, b"[1]"),
        (MediaType.PARAMS, b"[" * 100_000),
        (MediaType.MESSAGES, b"{}"),
        (MediaType.MESSAGES, b'["x"]'),
    ],
)
def test_a_damaged_layer_is_one_clear_error(media_type: str, data: bytes, store: Store) -> None:
    model = stored(store, ModelConfig(), (media_type, data))
    with pytest.raises(
        StoreError, match=r"^layer sha256:.* is not a valid application/vnd\.ollama"
    ):
        describe(model)


def test_listing_and_showing_need_no_heavy_import(store: Store, tmp_path: Path) -> None:
    make(store, tmp_path, LLAMA | JINJA)
    program = (
        "import sys; from pathlib import Path; from modelkit.store import Store;"
        "from modelkit.names import ModelName; from modelkit.model import Model;"
        f"model = Model.open(Store(Path({str(store.root)!r})), ModelName.parse('test'));"
        "model.details(lengths=True), model.capabilities();"
        "print({'numpy', 'llama_cpp', 'gguf', 'jinja2', 'lark'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "set()\n"
