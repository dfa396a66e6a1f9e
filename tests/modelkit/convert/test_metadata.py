"""Settings of the checkpoint that become keys of the GGUF file."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelkit.convert import convert
from modelkit.gguf import GGUFHeader, read_header
from tests.modelkit.convert.samples import Json, change, change_header, copy

Files = dict[str, Path]


@pytest.fixture
def llama(tmp_path: Path) -> Files:
    return copy("tiny_llama_tied", tmp_path / "model")


def converted(files: Files) -> GGUFHeader:
    out = io.BytesIO()
    convert(files, out)
    return read_header(out)


def replaced_by(value: Json) -> Callable[[Json], object]:
    """An edit that leaves only these entries."""

    def edit(config: Json) -> None:
        config.clear()
        config.update(value)

    return edit


def rope(header: GGUFHeader) -> dict[str, object]:
    """The rope.* keys without their common prefix."""
    prefix = "llama.rope."
    return {k.removeprefix(prefix): v for k, v in header.metadata.items() if k.startswith(prefix)}


def with_rope(config: Json, theta: float, **scaling: Any) -> None:
    """Rope settings as older files write them."""
    config.pop("rope_parameters")
    config.update(rope_theta=theta, rope_scaling=scaling or None)


def test_old_and_new_rope_settings_give_the_same_file(llama: Files) -> None:
    new = converted(llama)

    def as_old(config: Json) -> None:
        scaling = config.pop("rope_parameters")
        config.update(rope_theta=scaling.pop("rope_theta"), rope_scaling=scaling)

    change(llama["config.json"], as_old)
    assert converted(llama) == new


def test_plain_rope_has_only_a_base(llama: Files) -> None:
    change(llama["config.json"], lambda config: with_rope(config, 20000.0))
    found = converted(llama)
    assert rope(found) == {"dimension_count": 32, "freq_base": 20000.0}
    assert "rope_freqs.weight" not in {tensor.name for tensor in found.tensors}


def test_linear_rope_scaling_is_kept(llama: Files) -> None:
    change(llama["config.json"], lambda config: with_rope(config, 10000.0, type="linear", factor=4))
    assert rope(converted(llama)) == {
        "dimension_count": 32,
        "freq_base": 10000.0,
        "scaling.type": "linear",
        "scaling.factor": 4.0,
    }


def test_yarn_rope_scaling_is_kept(llama: Files) -> None:
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 256}
    extras = {"beta_fast": 16, "beta_slow": 2.0, "attention_factor": 1.5}
    change(llama["config.json"], lambda config: with_rope(config, 10000.0, **yarn, **extras))
    assert rope(converted(llama)) == {
        "dimension_count": 32,
        "freq_base": 10000.0,
        "scaling.type": "yarn",
        "scaling.factor": 4.0,
        "scaling.original_context_length": 256,
        "scaling.yarn_beta_fast": 16.0,
        "scaling.yarn_beta_slow": 2.0,
        "scaling.yarn_attn_factor": 1.5,
    }


def test_a_sparse_configuration_has_the_model_types_defaults(tmp_path: Path) -> None:
    found = converted(copy("tiny_llama_spm", tmp_path)).metadata
    assert found["llama.attention.head_count_kv"] == 4
    assert found["llama.context_length"] == 2048
    assert found["llama.rope.freq_base"] == 10000.0
    assert found["llama.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-6)


def test_biases_are_converted_where_there_are_some(llama: Files) -> None:
    name = "model.layers.0.self_attn.v_proj.bias"

    def add_bias(header: Json) -> None:
        end = max(entry["data_offsets"][1] for key, entry in header.items() if key[0] != "_")
        header[name] = {"dtype": "F16", "shape": [64], "data_offsets": [end, end + 128]}

    change_header(llama["model.safetensors"], add_bias)
    with llama["model.safetensors"].open("ab") as out:
        out.write(bytes(128))
    (bias,) = [t for t in converted(llama).tensors if t.name.endswith("attn_v.bias")]
    assert (bias.name, bias.type, bias.shape) == ("blk.0.attn_v.bias", "F32", (64,))


def test_a_stored_copy_of_tied_embeddings_is_left_out(llama: Files) -> None:
    empty = {"dtype": "F16", "shape": [0, 64], "data_offsets": [0, 0]}
    change_header(
        llama["model.safetensors"], lambda header: header.update({"lm_head.weight": empty})
    )
    assert "output.weight" not in {tensor.name for tensor in converted(llama).tensors}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"pooling_mode_mean_tokens": True}, 1),
        ({"pooling_mode_cls_token": True}, 2),
        ({"pooling_mode_lasttoken": True}, 3),
        ({"pooling_mode": "cls"}, 2),
    ],
)
def test_the_pooling_of_a_sentence_model_is_kept(
    flags: Json, expected: int, tmp_path: Path
) -> None:
    files = copy("all-minilm", tmp_path)
    change(files["1_Pooling/config.json"], replaced_by(flags))
    assert converted(files).metadata["bert.pooling_type"] == expected


def test_an_encoder_without_modules_has_no_pooling(tmp_path: Path) -> None:
    files = copy("all-minilm", tmp_path)
    del files["modules.json"]
    assert "bert.pooling_type" not in converted(files).metadata


def test_the_authors_sampling_is_kept_and_nonsense_in_it_left_out(llama: Files) -> None:
    settings = {"temperature": 0.5, "top_k": 40, "top_p": "high", "min_p": True, "x": 1}
    change(
        llama["generation_config.json"],
        replaced_by(settings),
    )
    found = converted(llama).metadata
    assert {k: v for k, v in found.items() if k.startswith("general.sampling.")} == {
        "general.sampling.temp": 0.5,
        "general.sampling.top_k": 40,
    }


def test_nothing_is_guessed_about_the_models_name(llama: Files) -> None:
    general = {key for key in converted(llama).metadata if key.startswith("general.")}
    assert general == {
        "general.architecture",
        "general.type",
        "general.file_type",
        "general.quantization_version",
        "general.sampling.temp",
        "general.sampling.top_p",
    }
