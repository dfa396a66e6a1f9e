from pathlib import Path

import pytest

from modelkit.compiler.recipe import Recipe
from modelkit.errors import ModelfileError
from modelkit.modelfile import Command, Modelfile

BINARY = b"\x00\x01weights"


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"{}" if name.endswith(".json") else BINARY)


def recipe(source: str, folder: Path) -> Recipe:
    return Recipe.from_modelfile(Modelfile.parse(source), folder)


def refusal(source: str, folder: Path) -> ModelfileError:
    with pytest.raises(ModelfileError) as caught:
        recipe(source, folder)
    return caught.value


def test_a_name_that_is_no_path_is_the_base(tmp_path: Path) -> None:
    made = recipe("FROM llama3.2:3b", tmp_path)
    assert made == Recipe(base="llama3.2:3b")


def test_a_value_that_exists_beside_the_modelfile_is_a_file(tmp_path: Path) -> None:
    put(tmp_path, "llama3.2")
    made = recipe("FROM llama3.2", tmp_path)
    assert made == Recipe(files={"llama3.2": tmp_path / "llama3.2"})


def test_a_folder_gives_its_model_files(tmp_path: Path) -> None:
    put(tmp_path, "m/model.safetensors", "m/config.json", "m/1_Pooling/config.json")
    assert recipe("FROM ./m", tmp_path).files == {
        "model.safetensors": tmp_path / "m/model.safetensors",
        "config.json": tmp_path / "m/config.json",
        "1_Pooling/config.json": tmp_path / "m/1_Pooling/config.json",
    }


@pytest.mark.parametrize("source", ["FROM .", "FROM ", "FROM ./"])
def test_a_dot_or_nothing_is_the_folder_of_the_modelfile(source: str, tmp_path: Path) -> None:
    put(tmp_path, "model.gguf")
    assert recipe(source, tmp_path).files == {"model.gguf": tmp_path / "model.gguf"}


def test_model_files_win_over_consolidated_ones(tmp_path: Path) -> None:
    put(tmp_path, "model-1.safetensors", "consolidated.safetensors")
    assert list(recipe("FROM .", tmp_path).files) == ["model-1.safetensors"]


def test_several_files_merge_and_are_named_from_their_common_folder(tmp_path: Path) -> None:
    put(tmp_path, "text/model.gguf", "vision/mmproj.gguf")
    made = recipe("FROM text/model.gguf\nFROM ./vision/mmproj.gguf", tmp_path)
    assert made.files == {
        "text/model.gguf": tmp_path / "text/model.gguf",
        "vision/mmproj.gguf": tmp_path / "vision/mmproj.gguf",
    }


def test_of_several_base_names_the_last_counts_and_a_warning_says_so(tmp_path: Path) -> None:
    made = recipe("FROM a\nFROM b", tmp_path)
    assert made.base == "b"
    assert made.warnings == ("FROM b replaces FROM a",)


def test_a_base_name_wins_over_files_and_a_warning_says_so(tmp_path: Path) -> None:
    put(tmp_path, "model.gguf")
    made = recipe("FROM ./model.gguf\nFROM base", tmp_path)
    assert (made.base, made.files) == ("base", {})
    assert made.warnings == (
        "FROM base names a model, so the files of the other FROM lines are not used",
    )


@pytest.mark.parametrize(
    "value",
    ["./missing.gguf", "missing.gguf", "/missing/m", "~/missing", "../missing", "m.safetensors"],
)
def test_a_missing_path_is_not_taken_for_a_name(value: str, tmp_path: Path) -> None:
    error = refusal(f"SYSTEM hi\nFROM {value}", tmp_path)
    assert error.message.startswith("no such file or folder: /")
    assert (error.line, error.column, error.source_line) == (2, 1, f"FROM {value}")
    assert error.hint == "check the path; a relative one starts in the folder of the Modelfile"


@pytest.mark.parametrize("value", ["a b", "m@d", "-x", "a:b:c", "x" * 81, "x" * 300])
def test_what_is_neither_file_nor_name_is_refused(value: str, tmp_path: Path) -> None:
    error = refusal(f"FROM {value}", tmp_path)
    assert error.message.startswith("invalid model name")
    assert "or a file or folder" in (error.hint or "")


def test_a_folder_that_hides_a_model_name_is_explained(tmp_path: Path) -> None:
    (tmp_path / "llama3").mkdir()
    error = refusal("FROM llama3", tmp_path)
    assert error.message == "no Modelfile or safetensors files found"
    assert error.hint == (
        f"{tmp_path / 'llama3'} is a folder; to mean the model llama3, write llama3:latest"
    )
    assert "holds no model" in (refusal("FROM ./llama3", tmp_path).hint or "")


def test_the_last_adapter_counts(tmp_path: Path) -> None:
    put(tmp_path, "a.gguf", "lora/adapter_model.safetensors", "lora/adapter_config.json")
    made = recipe("FROM base\nADAPTER a.gguf\nADAPTER lora", tmp_path)
    assert made.adapters == {
        "adapter_model.safetensors": tmp_path / "lora/adapter_model.safetensors",
        "adapter_config.json": tmp_path / "lora/adapter_config.json",
    }


@pytest.mark.parametrize("instruction", ["ADAPTER", "DRAFT"])
def test_an_adapter_or_draft_must_exist(instruction: str, tmp_path: Path) -> None:
    error = refusal(f"FROM base\n{instruction} llama3", tmp_path)
    assert error.message == f"stat {tmp_path / 'llama3'}: no such file or directory"
    assert error.line == 2


def test_drafts_add_up(tmp_path: Path) -> None:
    put(tmp_path, "big.gguf", "a.gguf", "b.gguf")
    made = recipe("FROM big.gguf\nDRAFT a.gguf\nDRAFT b.gguf", tmp_path)
    assert list(made.files) == ["big.gguf"]
    assert list(made.drafts) == ["a.gguf", "b.gguf"]


@pytest.mark.parametrize("order", ["FROM m.gguf\nDRAFT link.gguf", "DRAFT m.gguf\nFROM link.gguf"])
def test_draft_and_from_must_not_be_the_same_file(order: str, tmp_path: Path) -> None:
    put(tmp_path, "m.gguf")
    (tmp_path / "link.gguf").symlink_to("m.gguf")
    assert refusal(order, tmp_path).message == (
        f"DRAFT must not reference the same local path as FROM: {tmp_path / 'link.gguf'}"
    )


def test_texts_are_taken_from_their_last_instruction(tmp_path: Path) -> None:
    made = recipe(
        "FROM a\nSYSTEM one\nSYSTEM two\nTEMPLATE {{ .Prompt }}\nRENDERER r\nPARSER p", tmp_path
    )
    assert (made.system, made.template, made.renderer, made.parser) == (
        "two",
        "{{ .Prompt }}",
        "r",
        "p",
    )


def test_an_empty_text_is_the_same_as_none(tmp_path: Path) -> None:
    made = recipe('FROM a\nSYSTEM ""\nTEMPLATE \nLICENSE ""', tmp_path)
    assert made == Recipe(base="a")


def test_licenses_and_messages_are_kept_in_order(tmp_path: Path) -> None:
    made = recipe(
        "FROM a\nLICENSE MIT\nLICENSE BSD\nMESSAGE user hi: there\nMESSAGE assistant yes", tmp_path
    )
    assert made.licenses == ("MIT", "BSD")
    assert made.messages == (("user", "hi: there"), ("assistant", "yes"))


def test_stop_collects_and_other_parameters_are_replaced(tmp_path: Path) -> None:
    made = recipe(
        "FROM a\nPARAMETER stop x\nPARAMETER top_k 1\nPARAMETER stop y\nPARAMETER top_k 2", tmp_path
    )
    assert made.parameters == {"stop": ["x", "y"], "top_k": 2}


def test_a_deprecated_parameter_is_dropped_with_a_warning(tmp_path: Path) -> None:
    made = recipe("FROM a\nPARAMETER mirostat 1", tmp_path)
    assert made.parameters == {}
    assert made.warnings == ("parameter mirostat is deprecated",)


def test_the_warnings_of_the_parser_come_along(tmp_path: Path) -> None:
    (warning,) = recipe("FROM a\nSYSTEM b\u00a0c", tmp_path).warnings
    assert warning.startswith("line 2: U+00A0")


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ("PARAMETER numa true", "unknown parameter 'numa'", None),
        ("PARAMETER  top_k 1", "unknown parameter ''", None),
        ("PARAMETER top_k 1.0", "invalid int value [1.0]", None),
        ("PARAMETER temprature 1", "unknown parameter 'temprature'", "did you mean temperature?"),
        ("REQUIRES abc", "requires must be a valid semver (e.g. 0.14.0)", None),
    ],
)
def test_a_bad_value_is_refused_at_its_line(
    source: str, message: str, hint: str | None, tmp_path: Path
) -> None:
    error = refusal(f"FROM a\n\n{source}", tmp_path)
    assert (error.message, error.line, error.source_line) == (message, 3, source)
    assert error.hint == hint or hint is None


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("0.14", "0.14"),
        ("v0.14", "0.14"),
        ("v0.14.0", "0.14.0"),
        ("1", "1"),
        ("1.2.3-rc.1+build.007", "1.2.3-rc.1+build.007"),
        ("1.2.3-0a", "1.2.3-0a"),
    ],
)
def test_a_required_version_loses_its_v(text: str, version: str, tmp_path: Path) -> None:
    assert recipe(f"FROM a\nREQUIRES {text}", tmp_path).requires == version


@pytest.mark.parametrize(
    "text", ["", "v", "vv1", "01.2", "1.2.3.4", "1.2-rc", "1.2.3-01", "1.2.3-", "1.2.3+", "V1"]
)
def test_what_is_no_version_is_refused(text: str, tmp_path: Path) -> None:
    message = "requires must be a valid semver (e.g. 0.14.0)"
    assert refusal(f"FROM a\nREQUIRES {text}", tmp_path).message == message


def test_an_error_of_a_modelfile_made_in_python_shows_the_command(tmp_path: Path) -> None:
    modelfile = Modelfile((Command("model", "a"), Command("top_k", "x")))
    with pytest.raises(ModelfileError) as caught:
        Recipe.from_modelfile(modelfile, tmp_path)
    assert caught.value.source_line == "PARAMETER top_k x"
