"""The OpenAPI document says what there is, and the page shows it."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from modelkit.serve.app import create_app
from modelkit.serve.keys import KeyFile
from modelkit.serve.openapi.document import OPERATIONS, document, path_of, routes
from modelkit.store import Store
from tests.serve.api.harness import Server, running

# What the wording of OpenAPI 3.1 demands of the parts that this document has.
_FORM = {
    "type": "object",
    "required": ["openapi", "info", "paths"],
    "properties": {
        "openapi": {"pattern": r"^3\.1\.\d+$"},
        "info": {"required": ["title", "version"]},
        "paths": {
            "patternProperties": {"^/": {"additionalProperties": {"$ref": "#/$defs/operation"}}},
            "additionalProperties": False,
        },
    },
    "$defs": {
        "content": {"minProperties": 1, "additionalProperties": {"required": ["schema"]}},
        "operation": {
            "required": ["operationId", "summary", "responses"],
            "properties": {
                "summary": {"type": "string", "minLength": 1},
                "requestBody": {
                    "required": ["content"],
                    "properties": {"content": {"$ref": "#/$defs/content"}},
                },
                "responses": {
                    "minProperties": 1,
                    "propertyNames": {"pattern": "^[1-5][0-9][0-9]$"},
                    "additionalProperties": {
                        "required": ["description"],
                        "properties": {"content": {"$ref": "#/$defs/content"}},
                    },
                },
            },
        },
    },
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(Store(tmp_path_factory.mktemp("openapi") / "models")) as server:
        yield server


@pytest.fixture(scope="module")
def described(server: Server) -> Any:
    answer = server.request("GET", "/openapi.json")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/json")
    return answer.json


def test_every_route_is_described_and_every_description_has_a_route(tmp_path: Path) -> None:
    app = create_app(Store(tmp_path / "models"))
    routed = {(verb, path_of(rule)) for verb, rule, _ in routes(app)}
    described = {
        (verb.upper(), path) for path, item in document(app)["paths"].items() for verb in item
    }
    assert described == routed
    assert {(each.verb, path_of(each.rule)) for each in OPERATIONS} == routed
    assert len(OPERATIONS) == len(routed)


def test_a_route_that_no_table_has_is_an_error(tmp_path: Path) -> None:
    app = create_app(Store(tmp_path / "models"))
    app.add_url_rule("/api/secret", "version2", app.view_functions["status.version"])
    with pytest.raises(KeyError, match="/api/secret"):
        document(app)


def test_the_document_has_the_form_of_openapi(described: Any) -> None:
    jsonschema.Draft202012Validator(_FORM).validate(described)
    for schema in described["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_reference_leads_somewhere(described: Any) -> None:
    references = set(re.findall(r'"\$ref": "([^"]*)"', json.dumps(described)))
    known = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert references
    assert references <= known


def test_identifiers_are_unique(described: Any) -> None:
    names = [each["operationId"] for item in described["paths"].values() for each in item.values()]
    assert len(set(names)) == len(names)


def test_path_parameters_are_described(described: Any) -> None:
    for path, item in described["paths"].items():
        for operation in item.values():
            given = [each for each in operation.get("parameters", ()) if each["in"] == "path"]
            assert [each["name"] for each in given] == re.findall(r"{(\w+)}", path)


def test_schemas_are_those_of_the_endpoints(described: Any) -> None:
    schemas = described["components"]["schemas"]
    assert set(schemas["GenerateRequest"]["properties"]) >= {
        "model",
        "prompt",
        "_debug_render_only",
    }
    assert schemas["ChatBody"]["additionalProperties"] is False
    assert "max_completion_tokens" in schemas["ChatBody"]["properties"]
    assert schemas["MessagesRequest"]["properties"]["max_tokens"]["type"] == "integer"


def test_streams_and_failures_have_the_form_of_their_api(described: Any) -> None:
    paths = described["paths"]

    def content(path: str, status: str) -> Any:
        return paths[path]["post"]["responses"][status]["content"]

    assert set(content("/api/chat", "200")) == {"application/json", "application/x-ndjson"}
    for path in ("/v1/chat/completions", "/v1/messages"):
        assert set(content(path, "200")) == {"application/json", "text/event-stream"}
    forms = {"/api/chat": "Failure", "/v1/chat/completions": "OpenaiFailure"}
    for path, name in {**forms, "/v1/messages": "AnthropicFailure"}.items():
        schema = content(path, "400")["application/json"]["schema"]
        assert schema == {"$ref": f"#/components/schemas/{name}"}


def test_what_needs_no_key_says_so(described: Any) -> None:
    paths = described["paths"]
    assert paths["/healthz"]["get"]["security"] == []
    assert {"bearer": []} in paths["/api/create"]["post"]["security"]
    assert "`admin`" in paths["/api/create"]["post"]["description"]
    assert "401" not in paths["/healthz"]["get"]["responses"]
    assert "401" in paths["/v1/models"]["get"]["responses"]


def test_refusals_for_want_of_a_key_are_as_described(tmp_path: Path, described: Any) -> None:
    store = Store(tmp_path / "models")
    with running(store, keys=KeyFile(tmp_path / "keys.json")) as server:
        for path, item in described["paths"].items():
            for verb, operation in item.items():
                if not operation["security"] or verb == "head":
                    continue
                answer = server.request(verb.upper(), re.sub("{.*?}", "x", path))
                assert answer.status == 401, path
                schema = operation["responses"]["401"]["content"]["application/json"]["schema"]
                whole = {**schema, "components": described["components"]}
                jsonschema.Draft202012Validator(whole).validate(answer.json)


class _Page(HTMLParser):
    """The addresses that a page would load or lead to."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_loads_nothing_from_elsewhere(server: Server) -> None:
    answer = server.request("GET", "/docs")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    text = answer.body.decode()
    page = _Page()
    page.feed(text)
    assert set(page.addresses) == {"data:,", "openapi.json"}
    assert not re.search(r"https?:|@import|url\(|innerHTML|eval\(", text)


def test_the_policy_of_the_page_allows_its_own_script_and_style_alone(server: Server) -> None:
    answer = server.request("GET", "/docs")
    policy = answer.headers["content-security-policy"]
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["connect-src"] == "'self'"
    for tag in ("script", "style"):
        found = re.search(f"<{tag}>(.*?)</{tag}>", answer.body.decode(), re.DOTALL)
        assert found is not None
        digest = base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
