"""Which template writes a model's prompts: its TEMPLATE, or one of those inside the GGUF."""

from collections.abc import Mapping

from modelkit.manifest import ModelConfig
from modelkit.settings import flag, setting
from modelkit.templates.detect import go_traits, jinja_traits, prefers_jinja

_HARMONY = ("gptoss", "gpt-oss")


def uses_go(config: ModelConfig, go: str | None, jinja: str | None) -> bool:
    """Whether the Go template counts; with neither of the two, `{{ .Prompt }}` does.

    MODELKIT_GO_TEMPLATE decides when it is set. A model whose RENDERER is a built-in one of Ollama
    has a TEMPLATE that is never used there: the GGUF's own is then the better description.
    """
    if go is None or jinja is None:
        return jinja is None
    if setting("GO_TEMPLATE") is not None:
        return flag("GO_TEMPLATE", True)
    if config.model_family in _HARMONY and "<|start|>" in go and "<|end|>" in go:
        return True
    return not (config.renderer or prefers_jinja(go_traits(go), jinja_traits(jinja)))


def named_templates(metadata: Mapping[str, object]) -> dict[str, str]:
    """The chat templates of a GGUF header by name; the unnamed one is `default`."""
    key = "tokenizer.chat_template"
    found = {
        name.removeprefix(f"{key}.") if name != key else "default": value
        for name, value in metadata.items()
        if name == key or name.startswith(f"{key}.")
    }
    return {name: value for name, value in found.items() if isinstance(value, str)}


def pick_template(templates: Mapping[str, str], *, tools: bool) -> str | None:
    """As transformers: `tool_use` when there are tools, else `default`; None when there is none."""
    if tools and "tool_use" in templates:
        return templates["tool_use"]
    return templates.get("default")
