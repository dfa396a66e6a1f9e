"""The package as a whole: public names, imports at start-up, the wheel, sizes of modules."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import modelkit

ROOT = Path(__file__).parent.parent
HEAVY = (
    "llama_cpp",
    "quart",
    "hypercorn",
    "oras",
    "numpy",
    "gguf",
    "cryptography",
    "urllib3",
    "lark",
)
MAX_LINES = 400


def test_the_public_names_are_these() -> None:
    assert modelkit.__all__ == [
        "Digest", "Manifest", "ModelName", "Modelfile", "Store", "__version__", "build",
    ]  # fmt: skip
    assert all(getattr(modelkit, name) is not None for name in modelkit.__all__)


def test_a_name_that_is_not_public_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = modelkit.nonsense


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["--version"]])
def test_a_cheap_command_imports_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    script = (
        "import sys; from modelkit.cli.main import guard, cli;"
        f"guard(lambda: cli.main({arguments!r}, standalone_mode=False), True);"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert not set(HEAVY) & set(done.stderr.split())


def test_the_wheel_holds_one_package_and_all_of_it(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "-w",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"modelkit"}
    assert len(top) == 2
    for room in ("grammar", "registry", "serve"):
        here = {
            f"modelkit/{path.relative_to(ROOT)}"
            for path in (ROOT / room).rglob("*")
            if path.suffix in (".py", ".lark")
        }
        assert here <= set(names)
    assert "modelkit/py.typed" in names


def test_every_module_is_short_enough_to_read() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for room in ("modelkit", "grammar", "registry", "serve")
        for path in (ROOT / room).rglob("*.py")
        if (count := len(path.read_text().splitlines())) > MAX_LINES
    }
    assert long == {}


def test_the_changelog_begins_with_this_version() -> None:
    headings = [
        line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")
    ]
    assert any(f"[{modelkit.__version__}]" in heading for heading in headings[:2])
