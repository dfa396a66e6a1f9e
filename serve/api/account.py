"""/api/me and /api/signout: the account at Ollama's cloud that our key belongs to."""

import asyncio
import base64
import json
import socket
from urllib.parse import quote

from quart import Blueprint, Response

from modelkit.errors import AuthError
from modelkit.registry.auth.key_challenge import key_paths, public_line
from modelkit.serve.api.errors import ApiError
from modelkit.serve.api.stream import json_response
from modelkit.serve.remote.places import CLOUD_HOST, cloud_url
from modelkit.serve.remote.upstream import Reply, Unsigned, send

blueprint = Blueprint("account", __name__)

_FIELDS = ("id", "email", "name", "bio", "avatarurl", "firstname", "lastname")


@blueprint.post("/api/me")
async def me() -> Response:
    """Who we are to the cloud; 401 with the address to sign in at, 503 when nobody knows."""
    url = cloud_url()
    if url is None:
        raise _unauthorized()
    try:
        reply = await send("POST", f"{url}/api/me")
        user = await _object(reply)
    except Unsigned:
        raise ApiError(500, "error getting authorization details") from None
    except ApiError:
        raise ApiError(503, "account unavailable") from None
    if reply.status == 401 or (reply.status == 200 and not user.get("name")):
        raise _unauthorized(user.get("signin_url", "") or await asyncio.to_thread(_signin_url))
    if reply.status != 200:
        raise ApiError(503, "account unavailable")
    known = {key: user[key] for key in _FIELDS if user.get(key)}
    return json_response({**known, "plan": user.get("plan") or "free"})


@blueprint.post("/api/signout")
@blueprint.route("/api/user/keys/<key>", methods=["DELETE"])
async def signout(key: str = "") -> Response:
    """Have the cloud forget our key."""
    url = cloud_url()
    if url is None:
        raise ApiError(401, "you are not currently signed in")
    try:
        key = key or await asyncio.to_thread(_key_id)
        reply = await send("DELETE", f"{url}/api/user/keys/{quote(key)}")
        await reply.body()
    except (ApiError, AuthError):
        raise ApiError(500, "there was an error signing out") from None
    if reply.status == 401:
        raise ApiError(401, "you are not currently signed in")
    if reply.status >= 300:
        raise ApiError(500, "there was an error signing out")
    return json_response(None)


def _unauthorized(signin_url: str = "") -> ApiError:
    return ApiError(401, "unauthorized", signin_url=signin_url)


def _signin_url() -> str:
    """Where a browser connects this machine's key with an account."""
    host = quote(socket.gethostname(), safe="")
    return f"https://{CLOUD_HOST}/connect?name={host}&key={_key_id()}"


def _key_id() -> str:
    line = public_line(CLOUD_HOST, key_paths())
    return base64.urlsafe_b64encode(line.encode()).decode().rstrip("=")


async def _object(reply: Reply) -> dict[str, str]:
    try:
        value = json.loads(await reply.body())
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {}
