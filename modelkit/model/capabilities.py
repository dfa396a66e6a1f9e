"""What a model can do, told from its config, its GGUF header and its templates."""

from collections.abc import Iterator

from modelkit.gguf import GGUFHeader
from modelkit.manifest import ModelConfig


def capabilities(
    config: ModelConfig,
    header: GGUFHeader | None,
    projectors: list[GGUFHeader],
    template: str | None,
) -> list[str]:
    """Capabilities in the order of Ollama's API, each once.

    `template` is the Go template; it or the GGUF's own chat template counts, whichever is in use.
    `header` is None when the weights cannot be read: what only they tell is then missing.
    """
    jinja, go = _templates(config, header, template)
    found = [*config.capabilities, *jinja]
    if header is not None:
        found += _weights_capabilities(header)
    for projector in projectors:
        found += _projector_capabilities(projector)
    found += go
    if config.model_family in ("gptoss", "gpt-oss"):
        found.append("thinking")
    return list(dict.fromkeys(found))


def _templates(
    config: ModelConfig, header: GGUFHeader | None, go: str | None
) -> tuple[list[str], list[str]]:
    """What the Jinja templates show, and what the Go template shows; one of the two is empty."""
    # The template parser takes time to import, and many a model needs none of it.
    from modelkit.templates.choice import named_templates, uses_go
    from modelkit.templates.detect import go_traits, jinja_traits

    templates = {} if header is None else named_templates(header.metadata)
    if go is not None and uses_go(config, go, templates.get("default")):
        return [], go_traits(go).capabilities
    shown = jinja_traits(templates.get("default", "")).capabilities
    return (["tools"] if "tool_use" in templates else []) + shown, []


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
