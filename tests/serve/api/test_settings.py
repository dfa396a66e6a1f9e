"""What the environment sets for a server."""

from pathlib import Path

import pytest

from modelkit.serve.loading import default_load_options


def test_without_settings_eight_sequences_share_a_runner() -> None:
    options = default_load_options()
    assert (options.num_ctx, options.num_parallel) == (4096, 8)
    assert (options.kv_cache_type, options.flash_attention) == ("f16", "auto")


@pytest.mark.parametrize(
    ("text", "mode"), [("1", "on"), ("true", "on"), ("0", "off"), ("", "auto")]
)
def test_flash_attention_is_on_off_or_left_to_the_engine(
    text: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_FLASH_ATTENTION", text)
    assert default_load_options().flash_attention == mode


def test_ollamas_names_are_understood_and_ours_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_CONTEXT_LENGTH", "2048")
    monkeypatch.setenv("OLLAMA_NUM_PARALLEL", "3")
    monkeypatch.setenv("MODELKIT_NUM_PARALLEL", "5")
    monkeypatch.setenv("OLLAMA_KV_CACHE_TYPE", "q8_0")
    options = default_load_options()
    assert (options.num_ctx, options.num_parallel, options.kv_cache_type) == (2048, 5, "q8_0")


def test_prefixes_are_copied_to_a_part_of_the_memory_and_to_disk_on_demand(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    options = default_load_options()
    assert 0 < options.prefix_cache_memory <= 2 << 30
    assert "prefix_cache_memory" in options.automatic
    assert options.prefix_cache_dir == ""
    monkeypatch.setenv("MODELKIT_PREFIX_CACHE_MEMORY", "0")
    monkeypatch.setenv("MODELKIT_PREFIX_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("MODELKIT_PREFIX_CACHE_DISK", "512MiB")
    options = default_load_options()
    assert options.prefix_cache_memory == 0
    assert "prefix_cache_memory" not in options.automatic
    assert (options.prefix_cache_dir, options.prefix_cache_disk) == (str(tmp_path), 512 << 20)


@pytest.mark.parametrize("text", ["-1", "x", "0"])
def test_a_context_length_that_is_none_is_the_default(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_CONTEXT_LENGTH", text)
    assert default_load_options().num_ctx == 4096
