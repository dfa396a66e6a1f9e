"""The content blocks of a request's messages, as Anthropic's clients send them."""

import base64
from typing import Any

import msgspec

from modelkit.serve.api.errors import ApiError


class Block(msgspec.Struct, tag_field="type", forbid_unknown_fields=True, kw_only=True):
    """What every block may carry; prompts are cached without being asked to."""

    cache_control: dict[str, Any] | None = None


class TextBlock(Block, tag="text"):
    """Something said. Citations belong to documents, so there is nothing to do with them."""

    text: str
    citations: list[Any] | None = None


class Source(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Where an image is."""

    type: str = ""
    media_type: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""


class ImageBlock(Block, tag="image"):
    """A picture."""

    source: Source | None = None

    def base64(self) -> str:
        """The picture's bytes in base64; raises ApiError 400 for any other source."""
        if self.source is None:
            raise ApiError(400, "invalid image source")
        if self.source.type != "base64":
            raise ApiError(
                400,
                f"invalid image source type: {self.source.type}. Only base64 images are supported.",
            )
        try:
            base64.b64decode(self.source.data, validate=True)
        except ValueError as error:
            raise ApiError(400, f"invalid base64 image data: {error}") from None
        return self.source.data


class ThinkingBlock(Block, tag="thinking"):
    """What the model thought before; no signature is checked, for nothing depends on it."""

    thinking: str
    signature: str = ""


class RedactedThinkingBlock(Block, tag="redacted_thinking"):
    """Thoughts that only the service that wrote them can read."""

    data: str = ""


class ToolUseBlock(Block, tag="tool_use"):
    """A call of a tool that the model asked for."""

    id: str = ""
    name: str = ""
    input: dict[str, Any] = {}
    caller: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Raises ApiError 400 for a call without id or name."""
        for field, value in (("id", self.id), ("name", self.name)):
            if not value:
                raise ApiError(400, f"tool_use block missing required '{field}' field")


class ToolResultBlock(Block, tag="tool_result"):
    """What a tool answered, or how it failed."""

    tool_use_id: str
    content: str | list[TextBlock | ImageBlock] | None = None
    is_error: bool | None = None


ContentBlock = (
    TextBlock | ImageBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock | ToolResultBlock
)
Content = str | list[ContentBlock]


def blocks_of(content: Content | None) -> list[ContentBlock]:
    """The blocks of a content; a text is one of them."""
    if content is None or content == "":
        return []
    return [TextBlock(text=content)] if isinstance(content, str) else content


def text_of(blocks: list[ContentBlock]) -> str:
    """The text of all text blocks together."""
    return "".join(block.text for block in blocks if isinstance(block, TextBlock))


def images_of(blocks: list[ContentBlock]) -> list[str]:
    """All pictures in base64; raises ApiError 400."""
    return [block.base64() for block in blocks if isinstance(block, ImageBlock)]
