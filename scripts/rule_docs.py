#!/usr/bin/env python3
"""Write docs/rules/, one page a lint rule from its docstring, and the screen in docs/lint.md.

With --check nothing is written; the exit code is 1 when a page is stale.
"""

import re
import sys
from pathlib import Path

from modelkit.lint import lint
from modelkit.lint.report import text_report
from modelkit.lint.rules import Rule, all_rules

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
EXAMPLE = ROOT / "fixtures" / "modelfiles" / "lint_example.Modelfile"
_SCREEN = re.compile(r"(?<=\$ modelkit lint Modelfile\n).*?(?=```\n)", re.DOTALL)
_GROUPS = {
    "MK0": "Instructions and values",
    "MK1": "Parameters",
    "MK2": "Templates",
    "MK3": "Where models come from",
}


def pages() -> dict[str, str]:
    """The text of each page by its path below docs/."""
    texts = {f"rules/{rule.code}.md": _page(rule) for rule in all_rules()}
    return {"lint.md": _guide(), "rules/README.md": _table(), **texts}


def _guide() -> str:
    """docs/lint.md with today's screen in it."""
    text = EXAMPLE.read_text()
    screen = text_report(lint(text, folder=EXAMPLE.parent), {"Modelfile": text})
    return _SCREEN.sub(lambda _: screen, (DOCS / "lint.md").read_text(), count=1)


def _page(rule: Rule) -> str:
    summary, _, rest = rule.documentation.partition("\n")
    return f"# {rule.code}: {rule.name}\n\n{summary} Severity: {rule.severity}.\n{rest}"


def _table() -> str:
    lines = [
        "# Rules of `modelkit lint`",
        "",
        "`[*]`: `--fix` can mend at least some cases.",
    ]
    for prefix, title in _GROUPS.items():
        lines += ["", f"## {prefix}xx: {title}", "", "| code | name | severity | what |"]
        lines.append("|---|---|---|---|")
        lines += [_row(rule) for rule in all_rules() if rule.code.startswith(prefix)]
    return "\n".join(lines) + "\n"


def _row(rule: Rule) -> str:
    star = " [*]" if "\nSafe" in rule.documentation else ""
    link = f"[{rule.code}]({rule.code}.md){star}"
    return f"| {link} | {rule.name} | {rule.severity} | {rule.summary} |"


def main() -> int:
    """Write the pages, or compare them."""
    wanted = pages()
    stale = [
        name
        for name, text in wanted.items()
        if not (DOCS / name).is_file() or (DOCS / name).read_text() != text
    ]
    surplus = [
        f"rules/{file.name}"
        for file in (DOCS / "rules").glob("*.md")
        if f"rules/{file.name}" not in wanted
    ]
    if "--check" in sys.argv:
        for name in [*stale, *surplus]:
            print(f"docs/{name} is stale")
        return int(bool(stale or surplus))
    (DOCS / "rules").mkdir(parents=True, exist_ok=True)
    for name in surplus:
        (DOCS / name).unlink()
    for name in stale:
        (DOCS / name).write_text(wanted[name])
    return 0


if __name__ == "__main__":
    sys.exit(main())
