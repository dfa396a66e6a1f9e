"""Tags in a text that comes in pieces."""


def overlap(text: str, tag: str) -> int:
    """How many characters at the end of `text` may be the beginning of `tag`, but not all of it."""
    longest = min(len(text), len(tag) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(tag[:size])), 0)


def before_tag(text: str, tag: str) -> tuple[str, str]:
    """Split off what may yet become `tag`: (certainly other text, what to hold back)."""
    end = len(text) - overlap(text, tag)
    return text[:end], text[end:]
