"""What Ollama writes into the config of models whose prompts its own code renders."""

from typing import NamedTuple


class Defaults(NamedTuple):
    """RENDERER, PARSER and the stop strings of an architecture; empty where there are none."""

    renderer: str = ""
    parser: str = ""
    stop: tuple[str, ...] = ()


_NEMOTRON = Defaults("nemotron-3-nano", "nemotron-3-nano")
_DEFAULTS = {
    "gemma4": Defaults("gemma4", "gemma4", ("<turn|>",)),
    "laguna": Defaults("laguna", "laguna"),
    "nemotron_h": _NEMOTRON,
    "nemotron_h_moe": _NEMOTRON,
    "nemotron_h_omni": _NEMOTRON,
}


def defaults_of(architecture: str) -> Defaults:
    """The defaults of a GGUF's `general.architecture`."""
    return _DEFAULTS.get(architecture, Defaults())
