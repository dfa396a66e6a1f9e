"""How fast a pull is beside `curl` followed by a hash, from a docker-registry on this machine.

    python -m bench.registry_pull [--mib 512] [--rounds 5] [--folder /dev/shm]

Both fetch the same blob from the same registry in turns and end with a checked digest; the pull
also writes the model into a store, fsynced. Needs docker-registry, curl and openssl.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from modelkit.names import ModelName
from modelkit.registry.transfer import pull, push
from modelkit.store import Store
from tests.registry.servers import MIB, add_model, free_port, wait_for_port

_CONFIG = """\
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: /nonexistent}}
"""


def main() -> None:
    """Measure and print one line for each way."""
    parser = argparse.ArgumentParser(description="Time `pull` against curl and openssl.")
    parser.add_argument("--mib", type=int, default=512, help="size of the model in MiB")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to work, such as /dev/shm")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        measure(Path(folder), arguments.mib, arguments.rounds)


def measure(folder: Path, mib: int, rounds: int) -> None:
    """Start a registry, push a model of random bytes, then pull and curl it in turns."""
    port = free_port()
    process = start_registry(folder, port)
    try:
        wait_for_port(port, process)
        name = ModelName.parse(f"127.0.0.1:{port}/bench/m:v1")
        origin = Store(folder / "origin")
        manifest = add_model(origin, name, os.urandom(mib * MIB))
        print(f"push                {clock(lambda: push(name, origin)):6.2f} s")
        blob = f"http://127.0.0.1:{port}/v2/bench/m/blobs/{manifest.layers[0].digest}"
        ways: dict[str, Callable[[], object]] = {
            "pull": lambda: pull(name, Store(folder / "target")),
            "curl, then openssl": lambda: curl(blob, folder / "target"),
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, run in ways.items():
                shutil.rmtree(folder / "target", ignore_errors=True)
                times[way].append(clock(run))
        for way, found in times.items():
            best, middle = min(found), statistics.median(found)
            print(f"{way:19s} {best:6.2f} s best {middle:6.2f} s median {mib / best:6.0f} MiB/s")
    finally:
        process.terminate()
        process.wait()


def start_registry(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """A docker-registry with its data below `folder`."""
    (folder / "config.yml").write_text(_CONFIG)
    environment = {
        **os.environ,
        "REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}",
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(folder / "registry"),
    }
    return subprocess.Popen(
        ["docker-registry", "serve", str(folder / "config.yml")],
        env=environment,
        stderr=subprocess.DEVNULL,
    )


def curl(url: str, folder: Path) -> None:
    """Fetch to a file, then hash it: what a careful user would do by hand."""
    folder.mkdir()
    subprocess.run(["curl", "-sSf", "-o", str(folder / "blob"), url], check=True)
    command = ["openssl", "dgst", "-sha256", str(folder / "blob")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def clock(run: Callable[[], object]) -> float:
    """Seconds that one run takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
