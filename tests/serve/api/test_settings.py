"""What the environment sets for a server."""

import pytest

from modelkit.serve.api.state import default_load_options


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


@pytest.mark.parametrize("text", ["-1", "x", "0"])
def test_a_context_length_that_is_none_is_the_default(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_CONTEXT_LENGTH", text)
    assert default_load_options().num_ctx == 4096
