"""Questions to models on other servers: what is sent there, and what comes back."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

import msgspec
from quart import Response

from modelkit.serve.api.errors import ApiError
from modelkit.serve.api.stream import NDJSON, json_response, ndjson_response
from modelkit.serve.remote.places import Place
from modelkit.serve.remote.upstream import Reply, send


async def relay(place: Place, path: str, body: dict[str, Any], asked: str) -> Response:
    """Send a request to where its model is, and the answer back as it comes.

    A stub's answers have the name that was `asked` for, and where they are from. Raises ApiError
    with the other server's status and words, 502 when there is no answer.
    """
    given = {key: value for key, value in body.items() if value not in (None, "", [], {})}
    given["model"] = place.model
    reply = await send("POST", place.url + quote(path), msgspec.json.encode(given))
    if reply.status >= 400:
        raise await refusal(reply)
    label: dict[str, Any] = {}
    if place.stub is not None:
        config = place.stub.config
        label = {
            "model": asked,
            "remote_model": config.remote_model,
            "remote_host": config.remote_host,
        }
    if reply.content_type.startswith(NDJSON):
        return await ndjson_response(_labelled(reply, label))
    return json_response(_with_label(await reply.body(), label))


async def refusal(reply: Reply) -> ApiError:
    """Another server's error as ours."""
    body = await reply.body()
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        return ApiError(reply.status, body[:500].decode("utf-8", "replace").strip() or "no answer")
    hint = answer.get("hint")
    return ApiError(
        reply.status,
        str(answer.get("error", "")),
        hint if isinstance(hint, str) else None,
        signin_url=str(answer.get("signin_url", "")),
    )


async def _labelled(reply: Reply, label: dict[str, Any]) -> AsyncGenerator[Any, None]:
    async with aclosing(reply.lines()) as lines:
        async for line in lines:
            yield _with_label(line, label)


def _with_label(data: bytes, label: dict[str, Any]) -> Any:
    try:
        record = json.loads(data)
    except ValueError as error:
        raise ApiError(502, "the other server's answer is not JSON") from error
    if not isinstance(record, dict) or "error" in record:
        return record
    return {**label, **{key: value for key, value in record.items() if key not in label}}
