#!/usr/bin/env python3
"""Write docs/rules/: one page a lint rule, from the rule's docstring, and a table of all.

With --check nothing is written; the exit code is 1 when a page is stale.
"""

import sys
from pathlib import Path

from modelkit.lint.rules import Rule, all_rules

FOLDER = Path(__file__).parent.parent / "docs" / "rules"
_GROUPS = {
    "MK0": "Instructions and values",
    "MK1": "Parameters",
    "MK2": "Templates",
    "MK3": "Where models come from",
}


def pages() -> dict[str, str]:
    """The text of each page by its file name."""
    texts = {f"{rule.code}.md": _page(rule) for rule in all_rules()}
    return {"README.md": _table(), **texts}


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
        if not (FOLDER / name).is_file() or (FOLDER / name).read_text() != text
    ]
    surplus = [file.name for file in FOLDER.glob("*.md") if file.name not in wanted]
    if "--check" in sys.argv:
        print(*(f"docs/rules/{name} is stale" for name in [*stale, *surplus]), sep="\n", end="")
        return int(bool(stale or surplus))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in surplus:
        (FOLDER / name).unlink()
    for name in stale:
        (FOLDER / name).write_text(wanted[name])
    return 0


if __name__ == "__main__":
    sys.exit(main())
