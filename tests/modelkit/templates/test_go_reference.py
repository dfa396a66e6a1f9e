"""Templates render as Go's own text/template renders them: same bytes, errors where Go has them."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelkit.templates import GoTemplate, TemplateError
from modelkit.templates.go.state import Limits
from tests.modelkit.templates.gowriter import Writer

UNBOUNDED = Limits(output=1 << 30, steps=1 << 30)
PROGRAM = Path(__file__).parent / "go_reference" / "main.go"
Outcome = tuple[str, str]
Render = Callable[[str, object], Outcome]


@pytest.fixture(scope="session")
def go_program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference, compiled once; Go keeps its compiled packages in pytest's cache folder."""
    binary = tmp_path_factory.mktemp("go") / "reference"
    environment = os.environ | {
        "GOCACHE": str(request.config.cache.mkdir("go-build").resolve()),
        "GOPATH": str(binary.parent / "path"),
        "GO111MODULE": "off",
        "GOFLAGS": "-mod=mod",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
    }
    go = Path(sys.prefix) / "bin" / "go"
    command = [go, "build", "-o", binary, PROGRAM]
    subprocess.run(list(map(str, command)), check=True, env=environment, timeout=170)
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
        return "output", GoTemplate(template).render(data, limits=UNBOUNDED)
    except TemplateError as error:
        return "error", error.stage


@pytest.mark.parametrize("part", range(10))
def test_generated_templates_render_as_go_renders_them(go: Render, part: int) -> None:
    seen: Counter[str] = Counter()
    for seed in range(part * 500, part * 500 + 500):
        writer = Writer(seed)
        template, data = writer.template_text(), writer.data()
        expected = go(template, data)
        # Go has no limits: a loop over a huge number is not worth waiting for.
        if expected == ("error", "timeout"):
            continue
        assert ours(template, data) == expected, f"seed {seed}: {template!r} with {data!r}"
        seen[expected[0] if expected[0] == "output" else expected[1]] += 1
    assert seen["output"] > 150
    assert seen["parse"] > 50
    assert seen["execute"] > 100
