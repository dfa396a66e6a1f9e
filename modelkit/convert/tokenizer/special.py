"""Tokens with a role (begin, end, padding ...), what is added to a prompt, chat templates."""

from dataclasses import dataclass, field

from modelkit.convert.checkpoint import Checkpoint
from modelkit.convert.config import Config
from modelkit.gguf.types import Value, ValueType

# Role in Hugging Face's files -> key in GGUF (one is misspelt there for good)
_ROLES = {
    "bos": "bos",
    "eos": "eos",
    "unk": "unknown",
    "sep": "seperator",
    "pad": "padding",
    "mask": "mask",
    "eot": "eot",
}
_ADDED = ("bos", "eos", "sep")


def prefix_space(checkpoint: Checkpoint) -> dict[str, Value]:
    """Whether a space is put before the text, where tokenizer_config.json says so."""
    value = checkpoint.optional_json("tokenizer_config.json").get("add_prefix_space")
    if not isinstance(value, bool):
        return {}
    return {"tokenizer.ggml.add_space_prefix": Value.boolean(value)}


def special_metadata(checkpoint: Checkpoint, config: Config, tokens: list[str]) -> dict[str, Value]:
    """Ids of the tokens with a role, what is added to a prompt, and the chat templates."""
    roles = _Roles.read(checkpoint)
    ids = {token: number for number, token in reversed(list(enumerate(tokens)))}
    metadata: dict[str, Value] = {}
    for role, key in _ROLES.items():
        number = ids.get(roles.tokens.get(role, ""))
        if number is None:
            number = _configured_id(config, role, len(tokens))
        if number is not None:
            metadata[f"tokenizer.ggml.{key}_token_id"] = Value.uint32(number)
    for role, wanted in roles.added.items():
        metadata[f"tokenizer.ggml.add_{role}_token"] = Value.boolean(wanted)
    return metadata | _chat_templates(checkpoint)


def _configured_id(config: Config, role: str, count: int) -> int | None:
    number = config.get(f"{role}_token_id")
    return number if type(number) is int and 0 <= number < count else None


@dataclass
class _Roles:
    """Token texts by role, and the roles that are added to every prompt (or are not)."""

    tokens: dict[str, str] = field(default_factory=dict)
    added: dict[str, bool] = field(default_factory=dict)

    @staticmethod
    def read(checkpoint: Checkpoint) -> "_Roles":
        config = checkpoint.optional_json("tokenizer_config.json")
        roles = _Roles()
        for role in ("bos", "eos", "unk", "sep", "pad", "mask", "cls"):
            entry = config.get(f"{role}_token")
            text = entry.get("content") if isinstance(entry, dict) else entry
            if isinstance(text, str):
                roles.tokens[role] = text
        # Encoders begin with CLS and end with SEP
        for role, stand_in in (("bos", "cls"), ("eos", "sep")):
            if role not in roles.tokens and stand_in in roles.tokens:
                roles.tokens[role] = roles.tokens[stand_in]
        for processor in _processors(checkpoint):
            roles.apply(processor)
        for role in _ADDED:
            wanted = config.get(f"add_{role}_token")
            if isinstance(wanted, bool):
                roles.added.setdefault(role, wanted)
        return roles

    def apply(self, processor: dict[str, object]) -> None:
        """What one post-processor of tokenizer.json adds; it has the last word."""
        kind = processor.get("type")
        if kind == "ByteLevel":
            self.added.setdefault("bos", False)
            self.added.setdefault("eos", False)
        elif kind == "RobertaProcessing":
            self.added |= {"bos": True, "eos": True, "sep": True}
        elif kind == "TemplateProcessing":
            self.template(_template(processor, "single"), _template(processor, "pair"))

    def template(self, single: list[str | None], pair: list[str | None]) -> None:
        """`single` and `pair` list special tokens, and None for the text itself."""
        first, last = (single[0], single[-1]) if len(single) > 1 else (None, None)
        if first is not None:
            self.tokens.setdefault("bos", first)
            self.added["bos"] = first in (self.tokens["bos"], self.tokens.get("cls"))
        if last is not None:
            if self.tokens.get("eos", last) != last:
                self.tokens["eot"] = self.tokens["eos"]
            self.tokens["eos"] = last
            self.added["eos"] = True
        texts = [place for place, token in enumerate(pair) if token is None]
        if len(texts) == 2 and (between := pair[texts[0] + 1 : texts[1]]):
            ends = [token for token in between if token in self.separators()]
            # The first of them closes the first text, if an end is added at all
            self.added["sep"] = len(ends) > (last is not None)

    def separators(self) -> set[str]:
        return {self.tokens[role] for role in ("sep", "eos") if role in self.tokens}


def _processors(checkpoint: Checkpoint) -> list[dict[str, object]]:
    processor = checkpoint.optional_json("tokenizer.json").get("post_processor")
    if not isinstance(processor, dict):
        return []
    parts = processor.get("processors", [processor])
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def _template(processor: dict[str, object], key: str) -> list[str | None]:
    """The special tokens of a template in order, None for a text."""
    parts = processor.get(key)
    found: list[str | None] = []
    for part in parts if isinstance(parts, list) else []:
        special = part.get("SpecialToken") if isinstance(part, dict) else None
        found.append(str(special.get("id")) if isinstance(special, dict) else None)
    return found


def _chat_templates(checkpoint: Checkpoint) -> dict[str, Value]:
    """The default template, and others by name."""
    entry = checkpoint.optional_json("tokenizer_config.json").get("chat_template")
    if entry is None and checkpoint.has("chat_template.jinja"):
        entry = checkpoint.text("chat_template.jinja")
    if entry is None:
        entry = checkpoint.optional_json("chat_template.json").get("chat_template")
    if isinstance(entry, str):
        return {"tokenizer.chat_template": Value.string(entry)}
    return _named_templates(entry) if isinstance(entry, list) else {}


def _named_templates(entries: list[object]) -> dict[str, Value]:
    metadata: dict[str, Value] = {}
    names: list[object] = []
    for entry in entries:
        name, template = (
            (entry.get("name"), entry.get("template")) if isinstance(entry, dict) else (None, None)
        )
        if not isinstance(name, str) or not isinstance(template, str):
            continue
        if name == "default":
            metadata["tokenizer.chat_template"] = Value.string(template)
        else:
            safe = "".join(c if c.isascii() and c.isalnum() else "_" for c in name)
            names.append(safe)
            metadata[f"tokenizer.chat_template.{safe}"] = Value.string(template)
    if names:
        metadata["tokenizer.chat_templates"] = Value.array(ValueType.STRING, names)
    return metadata
