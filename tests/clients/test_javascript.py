"""JavaScript's clients: each exported case of a script runs in a Node process of its own."""

import re
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CASE = re.compile(r"^export async function (\w+)\(", re.MULTILINE)
CASES = [
    (script, case)
    for script in ("ollama.mjs", "openai.mjs", "agents.mjs")
    for case in CASE.findall((HERE / script).read_text())
]


@pytest.mark.parametrize(("script", "case"), CASES)
def test_a_case_passes(script: str, case: str, url: str) -> None:
    assert (HERE / "node_modules").is_dir(), "run `make test`, which installs them"
    done = subprocess.run(
        ["node", "run.mjs", script, case, url],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.stderr == ""
    assert (done.returncode, done.stdout) == (0, "passed\n")
