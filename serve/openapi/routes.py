"""GET /openapi.json and GET /docs: the description of this server's API, for tools and people."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

from quart import Blueprint, Response, current_app

from modelkit.serve.api.stream import json_response
from modelkit.serve.openapi.document import document

blueprint = Blueprint("openapi", __name__)

_PAGE = Path(__file__).with_name("docs.html")
_KEY = "modelkit.openapi"


@blueprint.get("/openapi.json")
async def description() -> Response:
    """The OpenAPI 3.1 document of this server."""
    app: Any = current_app
    if _KEY not in app.extensions:
        app.extensions[_KEY] = document(app)
    return json_response(app.extensions[_KEY])


@blueprint.get("/docs")
async def page() -> Response:
    """A page that lists the operations of the document; it loads nothing from elsewhere."""
    text, policy = _page()
    headers = {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(text, content_type="text/html; charset=utf-8", headers=headers)


@cache
def _page() -> tuple[str, str]:
    """The page, and the policy that lets run what is in it and nothing else."""
    text = _PAGE.read_text(encoding="utf-8")
    policy = (
        "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors 'none'; script-src {_hash(text, 'script')}; "
        f"style-src {_hash(text, 'style')}"
    )
    return text, policy


def _hash(text: str, tag: str) -> str:
    inner = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    assert len(inner) == 1, f"the page must have one {tag}"  # noqa: S101 - the page is ours
    return f"'sha256-{base64.b64encode(hashlib.sha256(inner[0].encode()).digest()).decode()}'"
