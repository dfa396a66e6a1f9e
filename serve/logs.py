"""What a server writes to stderr: a line a record, for people or as JSON, never what was asked."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from modelkit.errors import UsageError
from modelkit.serve.exchange import current
from modelkit.settings import flag, setting


def configure() -> None:
    """Send the records of modelkit, and the warnings of everybody, to stderr.

    MODELKIT_LOG_FORMAT is `text` or `json`; MODELKIT_DEBUG adds details. Raises UsageError.
    """
    form = setting("LOG_FORMAT") or "text"
    if form not in _FORMS:
        raise UsageError(f"MODELKIT_LOG_FORMAT: {form!r} is no format", hint="write text or json")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_FORMS[form]())
    # Only ours in detail: the HTTP libraries' details would show what clients send.
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("modelkit").setLevel(logging.DEBUG if flag("DEBUG") else logging.INFO)


def fields(**values: object) -> dict[str, dict[str, object]]:
    """The `extra` of a record that has more to say than its message; empty values are left out."""
    return {"fields": {name: value for name, value in values.items() if value != ""}}


class _Text(logging.Formatter):
    """`2026-01-02T03:04:05.678Z INFO message name=value …`, tracebacks on lines of their own."""

    def format(self, record: logging.LogRecord) -> str:
        words = [_time(record), record.levelname, record.getMessage()]
        words += (f"{name}={_word(value)}" for name, value in _fields(record).items())
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        return " ".join(words) + (f"\n{trace}" if trace else "")


class _Json(logging.Formatter):
    """One JSON object a line, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


_FORMS: dict[str, type[logging.Formatter]] = {"text": _Text, "json": _Json}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    found: dict[str, Any] = dict(getattr(record, "fields", {}))
    if exchange := current():
        found["request_id"] = exchange.id
    return found


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _word(value: object) -> str:
    """A value that stays one word on one line."""
    text = str(value)
    plain = text.isascii() and text.isprintable() and not set(text) & set(' "=')
    return text if plain else json.dumps(text)
