"""kill -9 at any moment of a build: every listed model stays whole and the next build works.

Each round runs a real build in a process of its own and kills it, after a report or after a delay.
"""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelkit.compiler.build import build
from modelkit.compiler.recipe import Recipe
from modelkit.digest import Digest
from modelkit.errors import InvalidDigest
from modelkit.modelfile import Modelfile
from modelkit.names import ModelName
from modelkit.store import Store

VICTIM = ModelName.parse("victim")
NEIGHBOUR = ModelName.parse("neighbour")

# Builds the victim from a Modelfile; one line on stdout for each report.
PROGRAM = """
import sys
from dataclasses import replace
from pathlib import Path
from modelkit.compiler.build import build
from modelkit.compiler.recipe import Recipe
from modelkit.modelfile import Modelfile
from modelkit.names import ModelName
from modelkit.store import Store

root, text, quantize = sys.argv[1:]
recipe = Recipe.from_modelfile(Modelfile.parse(text), Path("/"))
print("start", flush=True)
build(replace(recipe, quantize=quantize or None), ModelName.parse("victim"), Store(Path(root)),
      report=lambda progress: print(progress.status, flush=True))
"""


@pytest.fixture
def prepared(llama: Path, store: Store) -> Store:
    """A store with an older victim, and a neighbour that shares a layer with it."""
    for name in (VICTIM, NEIGHBOUR):
        recipe = Recipe(files={"model.gguf": llama}, system="shared", template=name.short)
        build(recipe, name, store)
    return store


def started(store: Store, modelfile: str, quantize: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(store.root), modelfile, quantize]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def reports(store: Store, modelfile: str, quantize: str) -> int:
    """How many lines an undisturbed build prints."""
    with started(store, modelfile, quantize) as child:
        assert child.stdout is not None
        lines = child.stdout.readlines()
    assert child.returncode == 0
    assert lines[-1] == "success\n"
    return len(lines)


def kill_after_lines(store: Store, modelfile: str, quantize: str, lines: int) -> None:
    with started(store, modelfile, quantize) as child:
        assert child.stdout is not None
        for _ in range(lines):
            child.stdout.readline()
        child.kill()


def kill_after_seconds(store: Store, modelfile: str, quantize: str, seconds: float) -> None:
    with started(store, modelfile, quantize) as child:
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(seconds)
        child.kill()


def blobs(store: Store) -> Iterator[Digest]:
    for path in store.blobs.iterdir():
        try:
            yield Digest.parse(path.name)
        except InvalidDigest:
            continue  # a temporary file


def assert_whole(store: Store, modelfile: str) -> None:
    """All models verify, all blobs are what their names say, and life goes on."""
    assert store.names() == [NEIGHBOUR, VICTIM]
    for name in store.names():
        assert store.check(name) == []
    for digest in blobs(store):
        assert store.hash_blob(digest) == digest
    recipe = Recipe.from_modelfile(Modelfile.parse(modelfile), Path("/"))
    build(recipe, VICTIM, store)
    assert store.check(VICTIM) == []


def assert_no_leftovers(store: Store) -> None:
    """The dead builds' children die too, and a prune leaves only what the models use."""
    deadline = time.monotonic() + 10
    while children_at_work(store):
        assert time.monotonic() < deadline, "a quantizer outlives its parent"
        time.sleep(0.05)
    store.prune(min_age=0)
    used = {layer.digest for name in store.names() for layer in store.manifest(name).descriptors()}
    assert sorted(path.name for path in store.blobs.iterdir()) == sorted(
        digest.filename for digest in used
    )


def children_at_work(store: Store) -> list[str]:
    """The command lines of the processes that name this store."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_text()
        except OSError:
            continue  # it has ended
        if str(store.root) in command:
            found.append(command)
    return found


@pytest.mark.parametrize("quantize", ["", "Q8_0"])
def test_killed_after_a_report(quantize: str, llama: Path, prepared: Store) -> None:
    modelfile = f"FROM {llama}\nSYSTEM new\nPARAMETER seed 1\n"
    total = reports(prepared, modelfile, quantize)
    for lines in range(1, total + 1, max(1, total // 8)):
        kill_after_lines(prepared, f"{modelfile}LICENSE {lines}\n", quantize, lines)
        assert_whole(prepared, modelfile)
    assert_no_leftovers(prepared)


@pytest.mark.parametrize("quantize", ["", "q4_k_m"])
def test_killed_at_any_moment(quantize: str, tiny_llama: Path, prepared: Store) -> None:
    modelfile = f"FROM {tiny_llama}\nSYSTEM new\n"
    delays = random.Random(1)
    for number in range(8):
        seconds = delays.uniform(0, 0.6 if quantize else 0.08)
        kill_after_seconds(prepared, f"{modelfile}LICENSE {number}\n", quantize, seconds)
        assert_whole(prepared, modelfile)
    assert_no_leftovers(prepared)
