"""Reading pages, each in a process of its own: what a page does there harms nobody else."""

import asyncio
import importlib.util
import logging
import math
import signal
import sys
from contextlib import suppress

import msgspec

from modelkit.durations import seconds_setting
from modelkit.serve.api.errors import ApiError
from modelkit.serve.remote.places import DISABLED, cloud_source
from modelkit.serve.web.page import Failure, Page, PageError
from modelkit.serve.web.target import Target
from modelkit.settings import flag

AT_ONCE = 8
"""Pages that a server reads at once; further ones wait."""

_PATIENCE = 30.0
_log = logging.getLogger(__name__)


async def read_page(url: str, room: asyncio.Semaphore) -> Page:
    """The page at an address, as text. Cancelling it ends the process.

    Raises ApiError: 400 for an address that is none to ask, 403 where pages are not read, 501
    when a library is missing, 502 for a page that cannot be read, 504 for one that takes longer
    than MODELKIT_WEB_TIMEOUT.
    """
    _require_allowed()
    if importlib.util.find_spec("html_to_markdown") is None:
        raise ApiError(501, "reading web pages needs a library", "pip install 'modelkit-llm[web]'")
    try:
        Target.parse(url)  # an address that is none costs no process
    except PageError as error:
        raise _refusal(error) from error
    async with room:
        return await _read(url)


def _require_allowed() -> None:
    """By MODELKIT_WEB_FETCH, and unless that is set where the cloud is not forbidden."""
    forbidden = cloud_source() != "none"
    if flag("WEB_FETCH", default=not forbidden):
        return
    off = DISABLED.format(what="web fetch", verb="is")
    text = off if forbidden else "reading web pages is turned off"
    raise ApiError(403, text, "MODELKIT_WEB_FETCH=1 turns it on")


async def _read(url: str) -> Page:
    seconds = seconds_setting("WEB_TIMEOUT", _PATIENCE)
    seconds = seconds if 0 < seconds < math.inf else _PATIENCE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modelkit.serve.web.worker", str(seconds)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, errors = await process.communicate(url.encode())
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode == -signal.SIGALRM:
        raise ApiError(504, f"reading {url[:200]} took longer than {seconds:g} seconds")
    if process.returncode != 0:
        said = errors.decode("utf-8", "replace").strip().splitlines()
        _log.warning("reading a page ended with %s: %s", process.returncode, said[-1:])
        raise ApiError(502, f"{url[:200]} cannot be read")
    return _page(out)


def _page(out: bytes) -> Page:
    try:
        return msgspec.json.decode(out, type=Page)
    except msgspec.ValidationError:
        raise _refusal(msgspec.json.decode(out, type=Failure)) from None


def _refusal(error: PageError | Failure) -> ApiError:
    return ApiError(error.status, error.message, error.hint)
