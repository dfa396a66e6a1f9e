"""Asks a real server whatever its OpenAPI document allows and forbids, with schemathesis.

    python -m pip install -e ".[all,dev]" "schemathesis>=4.32,<5"
    python -m tests.serve.openapi.fuzz --requests 20000

Needs a checkout with its test models. Looked for are answers of 5xx, statuses, media types and
bodies that the document does not have, wrong refusals of verbs, and answers that take longer than
--patience seconds. The models are small: one says a scripted sentence, one has random weights.

The program sends the documented requests with names of models that exist in place of invented
ones, so that most get as far as the engine. Left out is what asks other machines: /api/pull,
/api/push, the `from` of /api/create, and the cloud, which is off.
"""

import argparse
import copy
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from modelkit.store import Store
from tests.serve.api.harness import Server, add_model, running
from tests.serve.scripted import add_script

_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
_ELSEWHERE = ("/api/pull", "/api/push")
_CHANGES = ("NamedRequest", "CopyRequest", "CreateRequest", "TransferRequest")
"""Bodies whose names stay invented: the models must outlive the run."""
_TEMPLATE = "{{ .System }}{{ .Prompt }}{{ .Suffix }}<ask>"
_FIXTURES = Path(__file__).parents[3] / "fixtures"


def main() -> int:
    """Run it; the exit status is schemathesis' own."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="modelkit-fuzz-") as folder:
        os.environ["MODELKIT_NO_CLOUD"] = "1"
        store = _store(Path(folder))
        with running(store, keep_alive=600.0) as server:
            return _run(server, Path(folder), arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fuzz a server by its OpenAPI document.")
    parser.add_argument("--requests", type=int, default=20_000, help="about how many")
    parser.add_argument("--seconds", type=int, default=0, help="end after this time")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds for one answer")
    parser.add_argument("--mode", default="all", help="positive, negative or all requests")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="regular expression for paths")
    return parser.parse_args()


def _store(folder: Path) -> Store:
    store = Store(folder / "models")
    words = ["It is", " four", ", I", " say."]
    add_script(store, folder, "script", {"<ask>": words}, _TEMPLATE)
    add_model(store, "tiny", _FIXTURES / "tiny_llama", parameters={"num_predict": 16})
    return store


def _run(server: Server, folder: Path, arguments: argparse.Namespace) -> int:
    described = _narrowed(server.request("GET", "/openapi.json").json)
    schema, report = folder / "openapi.json", folder / "report.ndjson"
    schema.write_text(json.dumps(described))
    operations = sum(
        len(item) for path, item in described["paths"].items() if path not in _ELSEWHERE
    )
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", str(schema), "--url", server.url),
        *("--checks", ",".join(_CHECKS), "--workers", "1", "--seed", str(arguments.seed)),
        *("--mode", arguments.mode),
        *("--phases", "examples,coverage,fuzzing", "--continue-on-failure", "--no-shrink"),
        *("--max-examples", str(-(-arguments.requests // operations))),
        *("--request-timeout", str(arguments.patience), "--suppress-health-check", "all"),
        *("--report", "ndjson", "--report-ndjson-path", str(report), "--warnings", "off"),
        *(part for path in _ELSEWHERE for part in ("--exclude-path", path)),
    ]
    if arguments.only:
        command += ["--include-path-regex", arguments.only]
    if arguments.seconds:
        command += ["--max-time", str(arguments.seconds)]
    started = time.monotonic()
    status = subprocess.run(command, check=False, cwd=folder).returncode
    print(f"{time.monotonic() - started:.0f} s; statuses: {_statuses(report)}")
    return status


def _narrowed(described: dict[str, Any]) -> dict[str, Any]:
    """The document with the store's models as the only values of `model`."""
    narrow = copy.deepcopy(described)
    schemas = narrow["components"]["schemas"]
    for name in _bodies(described) - set(_CHANGES):
        if "model" in schemas[name]["properties"]:
            schemas[name]["properties"]["model"] = {"enum": ["script", "tiny", "nobody"]}
    schemas["CreateRequest"]["properties"]["from"] = {"const": ""}
    return narrow


def _bodies(described: dict[str, Any]) -> set[str]:
    """The components that are bodies of requests."""
    operations = [each for item in described["paths"].values() for each in item.values()]
    contents = [each["requestBody"]["content"] for each in operations if "requestBody" in each]
    schemas = [content.get("application/json", {}).get("schema", {}) for content in contents]
    return {schema["$ref"].rpartition("/")[2] for schema in schemas if "$ref" in schema}


def _statuses(report: Path) -> dict[int, int]:
    """How often each status was answered."""
    found: Counter[int] = Counter()
    for line in report.read_text().splitlines():
        _count(json.loads(line), found)
    return dict(sorted(found.items()))


def _count(value: Any, found: Counter[int]) -> None:
    if isinstance(value, dict):
        if isinstance(status := value.get("status_code"), int):
            found[status] += 1
        for inner in value.values():
            _count(inner, found)
    elif isinstance(value, list):
        for inner in value:
            _count(inner, found)


if __name__ == "__main__":
    sys.exit(main())
