"""Damaged prompt templates, made from the fixtures, through both template engines.

`python -m tests.modelkit.templates.mutations SECONDS [SEED]` goes on for as long as it is told.
"""

import contextlib
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from modelkit.errors import TemplateError
from modelkit.templates import GoTemplate
from modelkit.templates.jinja import ChatTemplate
from tests.modelkit.templates.gowords import FRAGMENTS, NUMBERS, ODD, STRINGS

FIXTURES = Path(__file__).parents[3] / "fixtures" / "templates"
LIMIT = 1.0  # seconds of processor time for one Go template; Jinja's own limit is 5
DATA: dict[str, Any] = {
    "Messages": [{"Role": "user", "Content": "<hi>"}, {"Role": "assistant", "Content": ""}],
    "System": "be kind",
    "Prompt": "why",
    "Tools": [{"Function": {"Name": "f", "Parameters": {"a": [1, None, 2.5]}}}],
    "Think": True,
}
CHAT = json.loads((FIXTURES / "conversation.json").read_text())


def render_go(source: str) -> None:
    """Must end in a text or a TemplateError, within LIMIT."""
    before = time.process_time()
    with contextlib.suppress(TemplateError):
        GoTemplate(source).render(DATA)
    assert time.process_time() - before < LIMIT


def render_jinja(source: str) -> None:
    """Must end in a text or a TemplateError."""
    with contextlib.suppress(TemplateError):
        ChatTemplate(source).render(CHAT)


ENGINES: dict[str, Callable[[str], None]] = {".gotmpl": render_go, ".jinja": render_jinja}
PIECES = [*FRAGMENTS, *NUMBERS, *ODD, *STRINGS, "{%", "%}", "{% for m in messages %}", "|tojson"]


def mutations(seed: int) -> Iterator[tuple[str, str]]:
    """(kind, source) without end: pieces put in, taken out, doubled, taken from other files."""
    chance = random.Random(seed)
    corpus = {kind: [f.read_text() for f in sorted(FIXTURES.glob(f"*{kind}"))] for kind in ENGINES}
    while True:
        kind = chance.choice(list(ENGINES))
        source = chance.choice(corpus[kind])
        for _ in range(chance.randint(1, 6)):
            source = _mutate(source, chance, corpus[kind])
        yield kind, source


def _mutate(source: str, chance: random.Random, corpus: list[str]) -> str:
    place = chance.randint(0, len(source))
    head, tail = source[:place], source[place:]
    match chance.randrange(4):
        case 0:
            return head + chance.choice(PIECES) + tail
        case 1:
            return head + tail[chance.randint(1, 12) :]
        case 2:
            other = chance.choice(corpus)
            start = chance.randint(0, len(other))
            return head + other[start : start + chance.randint(1, 60)] + tail
        case _:
            return head + tail[: chance.randint(1, 40)] + tail


def main(seconds: float, seed: int) -> None:
    """Render until the time is over; the template of a failure is printed."""
    end, count = time.monotonic() + seconds, 0
    for kind, source in mutations(seed):
        try:
            ENGINES[kind](source)
        except BaseException:
            print(kind, repr(source))
            raise
        count += 1
        if time.monotonic() > end:
            break
    print(f"{count} templates")


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
