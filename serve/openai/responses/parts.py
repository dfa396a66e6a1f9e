"""The parts of an item's content, and the checks of single fields."""

from typing import Any

from modelkit.serve.openai.errors import FieldError
from modelkit.serve.openai.messages import image_data

Part = dict[str, Any]

_TEXTS = ("input_text", "output_text", "text")
_KINDS = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}


def wrong(at: str, text: str) -> FieldError:
    """An item, part or field that is wrong; `at` is its place, such as `input[0]: content[1]`."""
    return FieldError(at.replace(": ", "."), f"{at}: {text}")


def kind_of(value: object) -> str:
    """What a JSON value is, for an error's text."""
    if value is None:
        return "null"
    return _KINDS.get(type(value), "a number")


def read_text(item: Part, field: str, at: str, default: str | None = None) -> str:
    """A string of an item; `default` where it is missing or null. Raises ApiError 400."""
    value = item.get(field)
    if value is None and default is not None:
        return default
    if value is None:
        raise wrong(at, f"missing required '{field}' field")
    if not isinstance(value, str):
        raise wrong(at, f"{field} must be a string, not {kind_of(value)}")
    return value


def read_texts(item: Part, field: str, at: str) -> list[Part]:
    """A list of parts that have a `type` and a `text`, as a reasoning item's summary."""
    parts = item.get(field)
    if parts is None:
        return []
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise wrong(at, f"{field} must be an array of objects")
    return [
        {"type": read_text(part, "type", at), "text": read_text(part, "text", at)} for part in parts
    ]


def read_content(value: object, at: str, field: str, plain: str) -> list[Part]:
    """A text or a list of parts as a list; `plain` is the type of mere text.

    Raises ApiError 400.
    """
    if isinstance(value, str):
        return [_written(plain, value)]
    if not isinstance(value, list):
        raise wrong(at, f"{field} must be a string or array")
    return [_part(part, f"{at}: {field}[{place}]", plain) for place, part in enumerate(value)]


def _part(part: object, at: str, plain: str) -> Part:
    if not isinstance(part, dict):
        raise wrong(at, f"a part must be an object, not {kind_of(part)}")
    kind = part.get("type")
    if kind in _TEXTS:
        return _written(plain if kind == "text" else kind, read_text(part, "text", at))
    if kind == "refusal":
        return {"type": kind, "refusal": read_text(part, "refusal", at)}
    if kind == "input_image":
        return _image(part, at)
    if kind == "input_file":
        raise wrong(at, "file inputs are not currently supported")
    raise wrong(at, f"unknown content type: {kind}")


def _written(kind: str, text: str) -> Part:
    extra: Part = {"annotations": [], "logprobs": []} if kind == "output_text" else {}
    return {"type": kind, "text": text, **extra}


def _image(part: Part, at: str) -> Part:
    if part.get("file_id") is not None:
        raise wrong(at, "file_id is not supported, send the image as a data URL")
    url = read_text(part, "image_url", at)
    image_data(url, at.replace(": ", "."))
    detail = read_text(part, "detail", at, default="auto")
    return {"type": "input_image", "image_url": url, "detail": detail}
