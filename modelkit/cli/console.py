"""What commands print: progress on stderr, data on stdout."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from modelkit.cli.format import human_bytes
from modelkit.progress import Progress, Report

if TYPE_CHECKING:
    from tqdm import tqdm

QUIET_SECONDS = 10.0
"""Without a terminal, a long transfer says where it is this often."""

json_option: Callable[[Any], Any] = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON for scripts."
)


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def say(text: str) -> None:
    """A line for people, on stderr."""
    click.echo(text, err=True)


@contextmanager
def progress() -> Iterator[Report]:
    """A Report that shows bars on a terminal and plain lines elsewhere."""
    if sys.stderr.isatty():
        bars = _Bars()
        try:
            yield bars.report
        finally:
            bars.close()
    else:
        yield _Lines().report


class _Lines:
    """Each status once, with its end, and a sign of life in between."""

    def __init__(self) -> None:
        self._last_said: dict[str, float] = {}
        self._done: set[str] = set()

    def report(self, progress: Progress) -> None:
        status, now = progress.status, time.monotonic()
        if status in self._done:
            return
        finished = progress.total and progress.completed >= progress.total
        if finished:
            self._done.add(status)
        elif now - self._last_said.get(status, -QUIET_SECONDS) < QUIET_SECONDS:
            return
        self._last_said[status] = now
        if not progress.total:
            self._done.add(status)
        say(status + _amount(progress))


def _amount(progress: Progress) -> str:
    if not progress.total or not progress.completed:
        return ""
    percent = 100 * progress.completed // progress.total
    return f": {percent}% of {human_bytes(progress.total)}"


class _Bars:
    """One bar per thing in transfer, statuses without a size as plain lines."""

    def __init__(self) -> None:
        self._bars: dict[str, tqdm[Any]] = {}
        self._last_status = ""

    def report(self, progress: Progress) -> None:
        from tqdm import tqdm

        if progress.total:
            bar = self._bars.get(progress.status) or self._new_bar(progress)
            bar.update(progress.completed - bar.n)
        elif progress.status != self._last_status:
            tqdm.write(progress.status, file=sys.stderr)
        self._last_status = progress.status

    def _new_bar(self, progress: Progress) -> "tqdm[Any]":
        from tqdm import tqdm

        make = partial(tqdm, unit="B", unit_scale=True, file=sys.stderr, dynamic_ncols=True)
        bar = make(total=progress.total, desc=progress.status)
        self._bars[progress.status] = bar
        return bar

    def close(self) -> None:
        for bar in self._bars.values():
            bar.close()
