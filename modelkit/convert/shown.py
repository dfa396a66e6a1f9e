"""Names and values from files nobody has vouched for, made fit for a one-line message."""

_LIMIT = 80


def shown(value: object) -> str:
    """The value in ASCII and quotes, cut when it is long."""
    text = ascii(value)
    return text if len(text) <= _LIMIT else f"{text[:_LIMIT]}..."
