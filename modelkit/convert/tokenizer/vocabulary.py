"""A vocabulary on its way into a GGUF file: tokens with their types, scores and merges."""

from dataclasses import dataclass, field

from gguf import TokenType

from modelkit.convert.checkpoint import Checkpoint
from modelkit.convert.shown import shown
from modelkit.errors import ConvertError
from modelkit.gguf.types import Value, ValueType

SPACE = "\u2581"  # how SentencePiece and llama.cpp write a space inside a token

# With a plain bar, and with the full-width bar that DeepSeek uses
_OPENINGS, _CLOSINGS = ("<|", "<\uff5c"), ("|>", "\uff5c>")


@dataclass
class Vocabulary:
    """`model` and `pre` name the algorithms for the engine; lists are indexed by token id."""

    model: str
    pre: str
    tokens: list[str]
    kinds: list[TokenType]
    scores: list[float] | None = None
    merges: list[str] = field(default_factory=list)

    def metadata(self) -> dict[str, Value]:
        values = {
            "tokenizer.ggml.model": Value.string(self.model),
            "tokenizer.ggml.pre": Value.string(self.pre),
            "tokenizer.ggml.tokens": Value.array(ValueType.STRING, list(self.tokens)),
            "tokenizer.ggml.token_type": Value.array(ValueType.INT32, list(self.kinds)),
        }
        if self.scores is not None:
            values["tokenizer.ggml.scores"] = Value.array(ValueType.FLOAT32, list(self.scores))
        if self.merges:
            values["tokenizer.ggml.merges"] = Value.array(ValueType.STRING, list(self.merges))
        return values


@dataclass(frozen=True)
class AddedToken:
    """A token that is matched in the text before the algorithm runs."""

    id: int
    content: str
    special: bool

    @property
    def kind(self) -> TokenType:
        control = self.special or _looks_special(self.content)
        return TokenType.CONTROL if control else TokenType.USER_DEFINED

    @property
    def text(self) -> str:
        """As the engine expects it: spaces written plainly in tokens that users may type."""
        plain = self.kind is TokenType.USER_DEFINED
        return self.content.replace(SPACE, " ") if plain else self.content


def _looks_special(token: str) -> bool:
    """Some authors forget to mark control tokens as special; these spellings are never text."""
    return (
        token in ("<pad>", "<mask>", "<2mass>", "[@BOS@]")
        or (token.startswith(_OPENINGS) and token.endswith(_CLOSINGS))
        or (token.startswith("<unused") and token.endswith(">"))
    )


def listed_tokens(checkpoint: Checkpoint) -> list[AddedToken]:
    """The added tokens of tokenizer.json."""
    entries = checkpoint.optional_json("tokenizer.json").get("added_tokens")
    return [
        _added("tokenizer.json", entry, entry.get("id") if isinstance(entry, dict) else None)
        for entry in (entries if isinstance(entries, list) else [])
    ]


def configured_tokens(checkpoint: Checkpoint) -> list[AddedToken]:
    """The added tokens of tokenizer_config.json."""
    entries = checkpoint.optional_json("tokenizer_config.json").get("added_tokens_decoder")
    return [
        _added("tokenizer_config.json", entry, int(number) if number.isdecimal() else None)
        for number, entry in (entries.items() if isinstance(entries, dict) else ())
    ]


def added_tokens(checkpoint: Checkpoint) -> list[AddedToken]:
    """Of tokenizer.json, and of tokenizer_config.json those the former does not have."""
    found = {token.id: token for token in configured_tokens(checkpoint)}
    return list((found | {token.id: token for token in listed_tokens(checkpoint)}).values())


def _added(name: str, entry: object, number: object) -> AddedToken:
    if isinstance(entry, dict) and type(number) is int and number >= 0:
        content = entry.get("content")
        if isinstance(content, str):
            return AddedToken(number, content, entry.get("special") is True)
    raise ConvertError(f"{name}: an added token has no id or no content")


def place(
    vocabulary: dict[str, int], added: list[AddedToken], size: int
) -> tuple[list[str], list[TokenType]]:
    """Tokens by id: the vocabulary, the added tokens over it, padding where an id has no token.

    `size` is the number of rows of the embedding. Added tokens beyond it have no embedding and are
    left out; a vocabulary that does not fit is a ConvertError.
    """
    tokens = [f"[PAD{number}]" for number in range(size)]
    kinds = [TokenType.UNUSED] * size
    taken: set[int] = set()
    for token, number in vocabulary.items():
        if type(number) is not int or not 0 <= number < size:
            raise ConvertError(
                f"token {shown(token)} has the id {shown(number)}, but the model has {size} tokens"
            )
        if number in taken:
            raise ConvertError(f"two tokens have the id {number}")
        taken.add(number)
        tokens[number], kinds[number] = token, TokenType.NORMAL
    for extra in added:
        if extra.id < size:
            tokens[extra.id], kinds[extra.id] = extra.text, extra.kind
    return tokens, kinds
