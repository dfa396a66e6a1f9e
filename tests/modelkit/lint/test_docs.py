"""The pages about the rules are what the rules say."""

import re
import subprocess
import sys
from pathlib import Path

from modelkit.lint.rules import all_rules, codes

ROOT = Path(__file__).parents[3]


def test_the_pages_of_the_rules_are_not_stale() -> None:
    command = [sys.executable, "scripts/rule_docs.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, ""), "run scripts/rule_docs.py"


def test_every_rule_has_fixtures_and_a_page() -> None:
    fixtures = {folder.name for folder in (ROOT / "fixtures" / "modelfiles" / "lint").iterdir()}
    pages = {page.stem for page in (ROOT / "docs" / "rules").glob("MK*.md")}
    assert fixtures == pages == set(codes())


def test_codes_and_names_are_unique_and_well_formed() -> None:
    assert len(codes()) >= 30
    assert all(re.fullmatch(r"MK\d{3}", code) for code in codes())
    names = [rule.name for rule in all_rules()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)+", name) for name in names)
