"""Numbers, times and tables as people read them; the same look as Ollama's."""

from collections.abc import Sequence

_BYTE_UNITS = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "KB"))
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_STEPS = (
    # (below this many seconds, divide by, unit)
    (_MINUTE, 1, "second"),
    (_HOUR, _MINUTE, "minute"),
    (2 * _DAY, _HOUR, "hour"),
    (14 * _DAY, _DAY, "day"),
    (60 * _DAY, 7 * _DAY, "week"),
    (730 * _DAY, 30 * _DAY, "month"),
    (float("inf"), 365 * _DAY, "year"),
)


def human_bytes(size: int) -> str:
    """Decimal units: 999 -> `999 B`, 1500 -> `1.5 KB`, 46240000 -> `46 MB`."""
    for factor, unit in _BYTE_UNITS:
        if size >= factor:
            value = size / factor
            if value >= 10:
                return f"{int(value)} {unit}"
            return f"{int(value)} {unit}" if value == int(value) else f"{value:.1f} {unit}"
    return f"{size} B"


def human_age(seconds: float) -> str:
    """A span of time: `42 seconds`, `About an hour`, `3 weeks`; from an hour on in whole hours."""
    if seconds < 1:
        return "Less than a second"
    if seconds >= _HOUR:
        seconds = int(seconds / _HOUR + 0.5) * _HOUR
    for below, divisor, unit in _STEPS:
        if seconds < below:
            count = int(seconds // divisor)
            if count <= 1 and unit in ("minute", "hour"):
                return f"About {'an' if unit == 'hour' else 'a'} {unit}"
            return f"{count} {unit}{'' if count == 1 else 's'}"
    raise AssertionError("the last step has no end")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns, four spaces apart, no borders."""
    columns = list(zip(*([header, *rows]), strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    lines = [
        "    ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in (header, *rows)
    ]
    return "\n".join(line.rstrip() for line in lines)


def shown_value(value: object) -> str:
    """A metadata value on one line: long lists and texts are cut."""
    if isinstance(value, list):
        more = f" ...+{len(value) - 5} more" if len(value) > 5 else ""
        return "[" + " ".join(shown_value(item) for item in value[:5]) + more + "]"
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value).encode("unicode_escape").decode() if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."
