"""Checkpoints that cannot be converted: each ends in one line that says what is wrong."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelkit.convert import convert, is_checkpoint
from modelkit.errors import ConvertError, ModelkitError, UsageError
from tests.modelkit.convert.samples import change, change_header, copy

Files = dict[str, Path]
WEIGHTS = "model.safetensors"


@pytest.fixture
def llama(tmp_path: Path) -> Files:
    return copy("tiny_llama_tied", tmp_path / "model")


def refused(files: Files) -> str:
    """The message for a checkpoint that must be refused, which is one line."""
    with pytest.raises(ModelkitError) as caught:
        convert(files, io.BytesIO())
    assert isinstance(caught.value, ConvertError)
    assert "\n" not in caught.value.message
    return caught.value.message


def test_a_folder_without_safetensors_is_no_checkpoint(llama: Files) -> None:
    assert is_checkpoint(llama)
    assert not is_checkpoint({"config.json": llama["config.json"], "model.gguf": Path("x")})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("config.json", "config.json is missing"),
        (WEIGHTS, "no model weights found"),
        (
            "tokenizer.json",
            "the tokenizer is missing: neither tokenizer.json nor tokenizer.model",
        ),
    ],
)
def test_a_missing_file_is_named(name: str, message: str, llama: Files) -> None:
    del llama[name]
    assert refused(llama) == message


@pytest.mark.parametrize("name", ["config.json", WEIGHTS, "tokenizer.json"])
def test_a_file_that_went_away_is_named(name: str, llama: Files) -> None:
    llama[name].unlink()
    assert refused(llama) == f"cannot read {name}: No such file or directory"


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "is not valid JSON"),
        (b"{", "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b"[]", "is not a JSON object"),
        (b'{"a": "\xff"}', "is not UTF-8"),
    ],
)
def test_a_damaged_json_file_is_named(name: str, raw: bytes, message: str, llama: Files) -> None:
    llama[name].write_bytes(raw)
    assert refused(llama).startswith(f"{name} {message}")


def test_weights_cut_off_are_refused(llama: Files) -> None:
    data = llama[WEIGHTS].read_bytes()
    for size in (5, 2000, len(data) // 2, len(data) - 1):
        llama[WEIGHTS].write_bytes(data[:size])
        assert "past the end of the file" in refused(llama)


def test_weights_that_shrink_while_they_are_read_are_refused(llama: Files) -> None:
    class Shrinking(io.BytesIO):
        """Cuts the weights off as soon as something is written."""

        def write(self, data: Any, /) -> int:
            llama[WEIGHTS].write_bytes(llama[WEIGHTS].read_bytes()[:9000])
            return super().write(data)

    with pytest.raises(ConvertError, match="became shorter"):
        convert(llama, Shrinking())


@pytest.mark.parametrize("value", [None, "gpt99", 5, ["llama"], "../llama", "__init__"])
def test_an_unsupported_architecture_names_the_supported_ones(value: Any, llama: Files) -> None:
    change(llama["config.json"], lambda config: config.update(model_type=value))
    with pytest.raises(ConvertError, match="unsupported architecture") as caught:
        convert(llama, io.BytesIO())
    assert caught.value.hint == "supported model types: bert, llama"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden_size", 0),
        ("hidden_size", -1),
        ("hidden_size", 64.0),
        ("hidden_size", "64"),
        ("hidden_size", True),
        ("hidden_size", 1 << 40),
        ("num_attention_heads", 0),
        ("rms_norm_eps", "small"),
        ("rms_norm_eps", 1e300),
        ("rms_norm_eps", float("nan")),
        ("rms_norm_eps", 10**400),
        ("tie_word_embeddings", "yes"),
        ("hidden_act", "gelu"),
        ("rope_parameters", [1]),
    ],
)
def test_nonsense_in_the_configuration_names_the_key(key: str, value: Any, llama: Files) -> None:
    change(llama["config.json"], lambda config: config.update({key: value}))
    assert refused(llama).startswith(f"config.json: {key} is ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_attention_heads": 3}, "do not go together"),
        ({"num_key_value_heads": 3}, "do not go together"),
        ({"head_dim": 31}, "do not go together"),
        ({"head_dim": 16}, r"q_proj\.weight has shape \[128, 64\].*means \[64, 64\]"),
        ({"vocab_size": 500}, r"embed_tokens\.weight has shape \[400, 64\]"),
        ({"vocab_size": (1 << 31) - 1}, r"embed_tokens\.weight has shape"),
        ({"head_dim": (1 << 31) - 2}, r"q_proj\.weight has shape"),
        ({"num_hidden_layers": 3}, r"model\.layers\.2\.input_layernorm\.weight is missing"),
        ({"num_hidden_layers": (1 << 31) - 1}, r"model\.layers\.2\.\S+ is missing"),
        ({"num_hidden_layers": 1}, "unexpected tensor 'model.layers.1"),
        ({"tie_word_embeddings": False}, r"lm_head\.weight is missing"),
    ],
)
def test_a_configuration_of_another_model_is_refused(
    changes: dict[str, Any], message: str, llama: Files
) -> None:
    change(llama["config.json"], lambda config: config.update(changes))
    with pytest.raises(ConvertError, match=message):
        convert(llama, io.BytesIO())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rope_type": "longrope"}, "unsupported rope scaling 'longrope'"),
        ({"rope_theta": -1.0}, "rope_theta"),
        ({"rope_theta": 1e200}, "rope_theta"),
        ({"factor": 0}, "make no sense"),
        ({"factor": 1e39}, "factor"),
        ({"low_freq_factor": 9.0}, "make no sense"),
        ({"rope_type": "linear", "factor": None}, "factor is missing"),
    ],
)
def test_rope_settings_that_cannot_be_kept_are_refused(
    changes: dict[str, Any], message: str, llama: Files
) -> None:
    change(llama["config.json"], lambda config: config["rope_parameters"].update(changes))
    assert message in refused(llama)


def rename(old: str, new: str) -> Callable[[dict[str, Any]], object]:
    """An edit of a safetensors header."""
    return lambda header: header.update({new: header.pop(old)})


def test_a_missing_tensor_is_named(llama: Files) -> None:
    old = "model.layers.1.mlp.up_proj.weight"
    change_header(llama[WEIGHTS], rename(old, "model.layers.1.mlp.extra.weight"))
    assert refused(llama) == f"tensor {old} is missing from the checkpoint"


def test_a_quantized_checkpoint_is_refused(llama: Files) -> None:
    def as_integers(header: dict[str, Any]) -> None:
        entry = header["model.layers.0.mlp.up_proj.weight"]
        entry["dtype"] = "I16"

    change_header(llama[WEIGHTS], as_integers)
    assert "has type I16, which cannot be converted" in refused(llama)


def test_two_names_for_one_tensor_are_refused(tmp_path: Path) -> None:
    files = copy("all-minilm", tmp_path)
    name = "embeddings.word_embeddings.weight"

    def twice(header: dict[str, Any]) -> None:
        header[f"bert.{name}"] = header.pop("embeddings.position_embeddings.weight")

    change_header(files[WEIGHTS], twice)
    assert refused(files) == f"two tensors of the checkpoint mean {name}"


def test_a_pooling_the_engine_lacks_is_refused(tmp_path: Path) -> None:
    files = copy("all-minilm", tmp_path)
    change(
        files["1_Pooling/config.json"],
        lambda config: config.update(pooling_mode_mean_tokens=False, pooling_mode_max_tokens=True),
    )
    assert refused(files) == "1_Pooling/config.json: unsupported pooling"


def test_an_unknown_output_type_is_wrong_usage(llama: Files) -> None:
    with pytest.raises(UsageError, match="unknown output type 'q8_0'"):
        convert(llama, io.BytesIO(), "q8_0")
