"""What a model must be able to do for a request, and what is said when it cannot."""

import base64
import re
from collections.abc import Sequence

from modelkit.model import Model
from modelkit.serve.api.errors import ApiError
from modelkit.serve.errors import NotSupported
from modelkit.serve.prompt import Message

_BASE64 = re.compile(r"[A-Za-z0-9+/\r\n]*")


def require(model: Model, name: str, think: bool | str | None, verb: str) -> None:
    """Refuse what the model called `name` cannot do; raises ApiError 400."""
    capabilities = model.capabilities()
    if think not in (None, False) and "thinking" not in capabilities:
        raise ApiError(400, f'"{name}" does not support thinking{_remedy(model)}')
    if "completion" not in capabilities:
        raise ApiError(400, f'"{name}" does not support {verb}')


def _remedy(model: Model) -> str:
    """What to do about models that think, but did not yet where they were made."""
    if model.config.model_family != "qwen3" and model.name.model != "deepseek-r1":
        return ""
    return ". Pull the model again to get the latest version with full thinking support"


def require_tools(model: Model) -> None:
    """Refuse tools where the model cannot call any; raises ApiError 400."""
    if "tools" not in model.capabilities():
        raise ApiError(400, f"{model.name.full} does not support tools")


def require_no_images(model: Model, name: str, messages: Sequence[Message]) -> None:
    """Refuse images, well-formed or not; raises ApiError, NotSupported."""
    images = [image for message in messages for image in message.images]
    for image in images:
        _check_base64(image)
    if images and "vision" not in model.capabilities():
        raise ApiError(400, f'"{name}" does not support images')
    if images:
        raise NotSupported("image input")


def _check_base64(text: str) -> None:
    try:
        base64.b64decode(re.sub(r"[\r\n]", "", text), validate=True)
    except ValueError:
        valid = _BASE64.match(text)
        position = valid.end() if valid else 0
        raise ApiError(400, f"illegal base64 data at input byte {position}") from None
