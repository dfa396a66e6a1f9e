"""modelkit doctor"""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from modelkit.cli.console import json_option, print_json
from modelkit.cli.keys import default_key
from modelkit.errors import ModelkitError
from modelkit.settings import models_dir
from modelkit.store import Store
from modelkit.version import __version__

PACKAGES = ("llama-cpp-python", "gguf", "numpy", "quart", "hypercorn", "oras", "cryptography")
CPU_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8")
LOW_SPACE = 2 * 1024**3


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `mend` says what to do when it is not `ok`, or could be better."""

    what: str
    ok: bool
    said: str
    mend: str = ""


@click.command("doctor")
@json_option
def doctor_(as_json: bool) -> None:
    """Look at the installation: packages, CPU, engine, store, keys, policy.

    The engine is tried for real: a tiny model is quantized and run in a child process. The exit
    code is 1 when something does not work; what works and could be better is only a warning.

    \b
    Example: modelkit doctor
    """
    findings = []
    for finding in _examine():
        findings.append(finding)
        if not as_json:
            _print(finding)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    if not all(finding.ok for finding in findings):
        raise click.exceptions.Exit(1)


def _print(finding: Finding) -> None:
    click.echo(f"{_mark(finding)} {finding.what}: {finding.said}")
    if finding.mend:
        click.echo(f"     {finding.mend}")


def _mark(finding: Finding) -> str:
    if not finding.ok:
        return click.style("FAIL", fg="red")
    return click.style("WARN", fg="yellow") if finding.mend else click.style("ok  ", fg="green")


def _examine() -> Iterator[Finding]:
    yield Finding("modelkit", True, f"{__version__}, Python {platform.python_version()}")
    yield Finding("cpu", True, f"{os.cpu_count()} cores; {_cpu_features()}")
    for package in PACKAGES:
        yield _package(package)
    checks: tuple[tuple[str, Callable[[str], Finding]], ...] = (
        ("engine", _engine),
        ("store", _store),
        ("signing key", _key),
        ("trust policy", _policy),
    )
    for what, check in checks:
        try:
            yield check(what)
        except ModelkitError as error:
            yield Finding(what, False, error.message, error.hint or "")


def _cpu_features() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    words = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    return " ".join(feature for feature in CPU_FEATURES if feature in words) or platform.machine()


def _package(package: str) -> Finding:
    try:
        return Finding(package, True, version(package))
    except PackageNotFoundError:
        command = f"{sys.executable} -m pip install 'modelkit-llm[all]'"
        return Finding(package, False, "not installed", command)


def _engine(what: str) -> Finding:
    from modelkit.quantize.probe import probe_engine
    from modelkit.serve.scheduling.repacking import crash_note

    report = probe_engine()
    said = f"quantized and decoded {', '.join(report.types)} ({report.features})"
    if not report.repacks:
        said = f"works, but crashes with repacked weights; models run without them, slower; {said}"
        return Finding(what, True, said, "compile it again for this CPU: make setup")
    if (note := crash_note()).exists():
        said = f"a model crashed with repacked weights, so all run without them, slower; {said}"
        return Finding(what, True, said, f"to try them again, delete {note}")
    return Finding(what, True, said)


def _store(what: str) -> Finding:
    store = Store.default()
    with store.lease():  # proves that the folder can be written
        names = store.names()
    free = shutil.disk_usage(store.root).free
    if free < LOW_SPACE:
        raise ModelkitError(
            f"{store.root} has {free // 1024**2} MiB left",
            hint="free some space, or set MODELKIT_MODELS to a larger disk",
        )
    said = f"{models_dir()}, {len(names)} models, {free // 1024**3} GiB free"
    return Finding(what, True, said)


def _key(what: str) -> Finding:
    from modelkit.cli.keys import load_key

    if not default_key().exists():
        return Finding(what, True, f"none at {default_key()} (modelkit keygen makes one)")
    return Finding(what, True, f"{default_key()}, {load_key(None).public.fingerprint}")


def _policy(what: str) -> Finding:
    from modelkit.registry.trust.policy import Policy

    policy = Policy.default()
    return Finding(what, True, f"{policy.source}, {len(policy.scopes)} scopes")
