"""The prompt formats of fixtures/templates, as tests use them."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3] / "fixtures"
FOLDER = ROOT / "templates"

NAMES = sorted(path.name.removesuffix(".gotmpl") for path in FOLDER.glob("*.gotmpl"))
WITH_JINJA = sorted(path.name.removesuffix(".jinja") for path in FOLDER.glob("*.jinja"))
WITH_TOOLS = sorted(path.name.removesuffix(".tools.txt") for path in FOLDER.glob("*.tools.txt"))


def text(name: str) -> str:
    """A file of the folder, its line ends and last line as they are."""
    return (FOLDER / name).read_bytes().decode()


def data(name: str) -> list[dict[str, Any]]:
    """A JSON file of the folder."""
    decoded: list[dict[str, Any]] = json.loads(text(name))
    return decoded


def transformers_values() -> dict[str, str]:
    """What transformers' apply_chat_template made of the Jinja forms."""
    path = ROOT / "oracle" / "chat_templates.json"
    values: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return values
