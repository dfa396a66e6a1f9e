"""What a model can do, told from its config, its GGUF header and its templates."""

import re
from collections.abc import Iterator

from modelkit.gguf import GGUFHeader
from modelkit.manifest import ModelConfig

# An action ends at the first }} outside its strings and comments. What is never closed reaches to
# the end of the text, so that no template, however hostile, is scanned twice.
_LITERAL = r'"(?:\\.|[^"\\])*+(?:"|\Z)|`[^`]*+(?:`|\Z)|/\*.*?(?:\*/|\Z)'
_ACTION = re.compile(rf"\{{\{{((?>{_LITERAL}|(?!\}}\}}).)*+)(?:\}}\}}|\Z)", re.DOTALL)
_GO_LITERAL = re.compile(_LITERAL, re.DOTALL)
_GO_FIELD = re.compile(r"\.([A-Za-z_]\w*)")
_SPLITS_THINKING = re.compile(r"""split\(\s*['"]</think>['"]""")


def capabilities(
    config: ModelConfig,
    header: GGUFHeader | None,
    projectors: list[GGUFHeader],
    template: str | None,
) -> list[str]:
    """Capabilities in the order of Ollama's API, each once.

    `template` is the Go template; without one the GGUF's own chat template (Jinja) counts.
    `header` is None when the weights cannot be read: what only they tell is then missing.
    """
    found = list(config.capabilities)
    if header is not None:
        if template is None:
            found += jinja_capabilities(header.metadata.get("tokenizer.chat_template"))
        found += _weights_capabilities(header)
    for projector in projectors:
        found += _projector_capabilities(projector)
    if template is not None:
        found += go_capabilities(template)
    if config.model_family in ("gptoss", "gpt-oss"):
        found.append("thinking")
    return list(dict.fromkeys(found))


def jinja_capabilities(template: object) -> Iterator[str]:
    """What a Jinja chat template shows: tools, thinking."""
    if not isinstance(template, str):
        return
    if "tools" in template or "tool_call" in template:
        yield "tools"
    elsewhere = "reasoning_content" in template or "<SPECIAL_12>" in template
    splits = bool(_SPLITS_THINKING.search(template)) and not elsewhere
    if splits or ("<think>" in template and "</think>" in template):
        yield "thinking"


def go_capabilities(template: str) -> Iterator[str]:
    """What a Go template shows by the fields it uses: tools, insert, thinking."""
    fields = go_fields(template)
    for field, capability in (("tools", "tools"), ("suffix", "insert"), ("thinking", "thinking")):
        if field in fields:
            yield capability


def go_fields(template: str) -> set[str]:
    """The fields that a Go template's actions refer to, in lower case; strings aside."""
    actions = (_GO_LITERAL.sub("", action[0]) for action in _ACTION.finditer(template))
    return {field.lower() for action in actions for field in _GO_FIELD.findall(action)}


def _weights_capabilities(header: GGUFHeader) -> Iterator[str]:
    architecture, metadata = header.architecture, header.metadata
    yield "embedding" if f"{architecture}.pooling_type" in metadata else "completion"
    for sense in ("vision", "audio"):
        if f"{architecture}.{sense}.block_count" in metadata:
            yield sense


def _projector_capabilities(header: GGUFHeader) -> Iterator[str]:
    yield "vision"
    metadata = header.metadata
    hears = any(
        value is True for key, value in metadata.items() if key.endswith("has_audio_encoder")
    )
    if hears and metadata.get("clip.projector_type") != "gemma3nv":
        yield "audio"
