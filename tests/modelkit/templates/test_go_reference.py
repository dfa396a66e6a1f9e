"""Templates render as Go's own text/template renders them: same bytes, errors where Go has them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from modelkit.templates import GoTemplate, TemplateError
from tests.modelkit.templates.gostrategies import DATA, templates

PROGRAM = Path(__file__).parent / "go_reference" / "main.go"
Outcome = tuple[str, str]
Render = Callable[[str, object], Outcome]


@pytest.fixture(scope="session")
def go_program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference, compiled once; Go keeps its compiled packages in pytest's cache folder."""
    binary = tmp_path_factory.mktemp("go") / "reference"
    environment = os.environ | {
        "GOCACHE": str(request.config.cache.mkdir("go-build").resolve()),  # type: ignore[union-attr]
        "GOPATH": str(binary.parent / "path"),
        "GO111MODULE": "off",
        "GOFLAGS": "-mod=mod",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
    }
    go = Path(sys.prefix) / "bin" / "go"
    command = [go, "build", "-o", binary, PROGRAM]
    subprocess.run(command, check=True, env=environment, timeout=170)
    return binary


@pytest.fixture(scope="session")
def go(go_program: Path) -> Iterator[Render]:
    with subprocess.Popen([go_program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout

        def render(template: str, data: object) -> Outcome:
            line = json.dumps({"template": template, "data": data}, ensure_ascii=False)
            process.stdin.write(line.encode() + b"\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            answer: dict[str, str] = json.loads(process.stdout.readline())  # type: ignore[union-attr]
            if "output" in answer:
                return "output", answer["output"]
            return "error", answer["error"]

        yield render
        process.kill()


def ours(template: str, data: object) -> Outcome:
    try:
        return "output", GoTemplate(template).render(data)
    except TemplateError as error:
        return "error", error.stage


@given(template=templates(), data=DATA)
@settings(
    derandomize=True,
    deadline=None,
    max_examples=4000,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_generated_templates_render_as_go_renders_them(
    go: Render, template: str, data: dict[str, Any]
) -> None:
    expected = go(template, data)
    if expected != ("error", "timeout"):
        assert ours(template, data) == expected
