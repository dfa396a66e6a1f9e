"""The OpenAPI 3.1 document: made from the routes, their docstrings and the types they use."""

import inspect
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import msgspec
from quart import Quart

from modelkit.serve.middleware.access import scope_of
from modelkit.serve.openapi import clouds, native
from modelkit.serve.openapi.operation import FAILURES, JSON, SSE, TEXT, Operation
from modelkit.version import __version__

OPERATIONS = (*native.OPERATIONS, *clouds.OPERATIONS, *native.SERVER)
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}
_ABOUT = (
    "Local models through the native API and those of OpenAI and Anthropic. Keys are asked for "
    "only by servers that require them. Any request may also be refused with 403 because of its "
    "Host or Origin header."
)
Json = dict[str, Any]


def document(app: Quart) -> Json:
    """Every route of the application; raises KeyError for one that no table has."""
    known = {(each.verb, each.rule): each for each in OPERATIONS}
    kinds = {kind: None for each in OPERATIONS for kind in each.types}
    schemas, components = msgspec.json.schema_components(
        kinds, ref_template="#/components/schemas/{name}"
    )
    schema_of = dict(zip(kinds, schemas, strict=True))
    for each in OPERATIONS:
        _sharpen(each, components, schema_of)
    paths: dict[str, Json] = {}
    for verb, rule, summary in routes(app):
        entry = _operation(known[verb, rule], summary, schema_of)
        paths.setdefault(path_of(rule), {})[verb.lower()] = entry
    return {
        "openapi": "3.1.0",
        "info": {"title": "modelkit", "version": __version__, "description": _ABOUT},
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SECURITY},
    }


def routes(app: Quart) -> Iterator[tuple[str, str, str]]:
    """Verb, rule and the first sentence about each route, in the order they were registered."""
    for rule in app.url_map.iter_rules():
        about = inspect.getdoc(app.view_functions[rule.endpoint]) or ""
        for verb in sorted(rule.methods or ()):
            yield verb, rule.rule, about.partition("\n\n")[0].replace("\n", " ")


def path_of(rule: str) -> str:
    """The path as OpenAPI writes it: parameters in braces."""
    return _PARAMETER.sub(r"{\1}", rule)


def _operation(operation: Operation, summary: str, schema_of: dict[Any, Json]) -> Json:
    scope = scope_of(operation.rule)
    path = path_of(operation.rule)
    entry: Json = {
        "operationId": _identifier(operation.verb, path),
        "summary": summary,
        "tags": [operation.api],
        "security": [{"bearer": []}, {"key": []}, {}] if scope else [],
        "responses": _responses(operation, schema_of, guarded=scope is not None),
    }
    if scope:
        entry["description"] = f"An API key needs the scope `{scope}`."
    if parameters := _parameters(operation, schema_of):
        entry["parameters"] = parameters
    if operation.body is not None:
        entry["requestBody"] = _body(operation, schema_of)
    return entry


def _sharpen(operation: Operation, components: Json, schema_of: dict[Any, Json]) -> None:
    """Say of a body what its type leaves to the endpoint."""
    if not operation.required and not operation.parts:
        return
    component = components[schema_of[operation.body]["$ref"].rpartition("/")[2]]
    component["required"] = sorted({*component["required"], *operation.required})
    for name, kind in operation.parts.items():
        component["properties"][name] = schema_of[kind]
    for name in operation.required:
        component["properties"][name].pop("default", None)


def _identifier(verb: str, path: str) -> str:
    words = re.findall(r"[A-Za-z0-9]+", path) or ["root"]
    return verb.lower() + "".join(word[0].upper() + word[1:] for word in words)


def _parameters(operation: Operation, schema_of: dict[Any, Json]) -> list[Json]:
    inside: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(operation.rule)
    ]
    asked: list[Json] = [
        {"name": name, "in": "query", "required": False, "schema": schema_of[kind]}
        for name, kind in operation.query
    ]
    return inside + asked


def _body(operation: Operation, schema_of: dict[Any, Json]) -> Json:
    schema = {} if operation.body is bytes else schema_of[operation.body]
    return {"required": True, "content": {operation.body_media: {"schema": schema}}}


def _responses(operation: Operation, schema_of: dict[Any, Json], *, guarded: bool) -> Json:
    content = _content(operation, schema_of)
    found = {status: _response(status, content) for status in operation.successes}
    failure = {JSON: {"schema": schema_of[FAILURES[operation.api]]}}
    for status in {*operation.failures, *((401, 403) if guarded else ())}:
        found[status] = _response(status, {} if operation.verb == "HEAD" else failure)
    if "<" in operation.rule and operation.verb != "HEAD":
        # A parameter that does not fit leads nowhere, and nowhere speaks no API's language.
        plain = {**failure, TEXT: {"schema": {"type": "string"}}}
        found[404] = _response(404, plain)
    return {str(status): found[status] for status in sorted(found)}


def _response(status: int, content: Json) -> Json:
    described = {"description": HTTPStatus(status).phrase}
    return {**described, "content": content} if content else described


def _content(operation: Operation, schema_of: dict[Any, Json]) -> Json:
    if operation.answer is None:
        return {}
    schema = schema_of[operation.answer]
    content: Json = {media: {"schema": schema} for media in operation.answer_media}
    if operation.line is None:
        return content
    line = schema_of[operation.line]
    if operation.stream_media == SSE:
        line = _event(line, operation.end)
    return {**content, operation.stream_media: {"schema": line}}


def _event(data: Json, end: str) -> Json:
    """One event: OpenAPI 3.1 has no words for streams, and 3.2 describes each event like this."""
    coded = {"type": "string", "contentMediaType": JSON, "contentSchema": data}
    return {
        "type": "object",
        "properties": {
            "event": {"type": "string"},
            "data": {"anyOf": [coded, {"const": end}]} if end else coded,
        },
        "required": ["data"],
    }
