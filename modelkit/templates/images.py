"""Where the images of a conversation stand in its text."""

from collections.abc import Sequence

from modelkit.templates.messages import Message

_PLACE = "[img]"


def with_image_tags(messages: Sequence[Message]) -> list[Message]:
    """Messages whose text has `[img-N]` for each image, numbered from 0 over all of them.

    A tag takes the place of the first `[img]` left in its message, else it goes in front.
    """
    tagged, number = [], 0
    for message in messages:
        content, front = message.content, ""
        for _ in message.images:
            tag = f"[img-{number}]"
            number += 1
            if _PLACE in content:
                content = content.replace(_PLACE, tag, 1)
            else:
                front += tag
        tagged.append(message.with_content(front + content) if message.images else message)
    return tagged
