"""Neighbouring messages of one role become one, as Ollama does before it renders."""

from collections.abc import Sequence

from modelkit.templates.messages import Message


def collate(messages: Sequence[Message]) -> list[Message]:
    """Join neighbours of equal role by a blank line; tool results stay apart.

    The messages given are not changed. The first of the joined keeps its images and calls.
    """
    collated: list[Message] = []
    for message in messages:
        last = collated[-1] if collated else None
        if last is not None and last.role == message.role != "tool":
            collated[-1] = last.with_content(f"{last.content}\n\n{message.content}")
        else:
            collated.append(message)
    return collated


def system_text(messages: Sequence[Message]) -> str:
    """All system messages, joined by blank lines."""
    return "\n\n".join(message.content for message in messages if message.role == "system")
