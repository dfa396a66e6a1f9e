"""Install llama-cpp-python, compiled for this machine, into the Python that runs this script.

The wheel is kept in the user's cache under a key of everything that shaped it (version, flags, CPU,
compiler, Python), so that only the first set-up on a machine compiles. pip's own cache would not
do: it does not know the flags.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import engine_flags

PACKAGE = "llama-cpp-python"
ROOT = Path(__file__).parent.parent


def pinned_version() -> str:
    """The version that pyproject.toml pins."""
    found = re.search(rf'"{PACKAGE}==([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    assert found, f"pyproject.toml does not pin {PACKAGE}"
    return found[1]


def cache_key(flags: str) -> str:
    """A name for the build: the same only where the same wheel would come out."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    features = re.search(r"^flags.*$", text, re.MULTILINE)
    compiler = engine_flags.find_compiler() or ""
    parts = (
        pinned_version(),
        flags,
        features[0] if features else platform.processor(),
        subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout,
        sys.version,
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def pip(*arguments: str, **environment: str) -> None:
    """Run pip; a failure ends the script with pip's own words above it."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, env=os.environ | environment)
    if done.returncode:
        sys.exit(f"Error: `pip {' '.join(arguments)}` failed; its output is above")


def main() -> None:
    """Compile if no wheel fits, then install."""
    flags, reason = engine_flags.describe()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "modelkit" / "engine" / cache_key(flags)
    stamp = Path(sys.prefix) / f".engine-{folder.name}"
    if stamp.exists() and _installed() == pinned_version():
        return
    if not list(folder.glob("*.whl")):
        print(f"compiling {PACKAGE} {pinned_version()} (about 4 minutes): {reason}", flush=True)
        requirement = f"{PACKAGE}=={pinned_version()}"
        pip("wheel", "-q", "--no-deps", "--no-cache-dir", "--no-binary", PACKAGE,
            "--wheel-dir", str(folder), requirement, CMAKE_ARGS=flags)  # fmt: skip
    wheel = next(folder.glob("*.whl"))
    pip("install", "-q", "--force-reinstall", "--no-deps", str(wheel))
    pip("install", "-q", str(wheel))  # its dependencies
    stamp.touch()


def _installed() -> str | None:
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
