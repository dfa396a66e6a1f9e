"""Which rules run, and where that is said."""

from pathlib import Path

import pytest

from modelkit.errors import UsageError
from modelkit.lint import Config


@pytest.mark.parametrize(
    ("select", "ignore", "code", "expected"),
    [
        (("MK",), (), "MK103", True),
        (("MK1",), (), "MK103", True),
        (("MK1",), (), "MK203", False),
        (("MK103",), ("MK1",), "MK103", True),
        (("MK103",), ("MK1",), "MK104", False),
        (("MK",), ("MK1",), "MK103", False),
        (("MK1",), ("MK1",), "MK103", False),
        (("MK0", "MK103"), (), "MK103", True),
    ],
)
def test_the_longest_selector_decides(
    select: tuple[str, ...], ignore: tuple[str, ...], code: str, expected: bool
) -> None:
    assert Config(select, ignore).enabled(code) is expected


@pytest.mark.parametrize("selector", ["MK999", "E501", "", "mk104", "MK10x"])
def test_a_selector_without_a_rule_is_wrong_usage(selector: str) -> None:
    with pytest.raises(UsageError, match="no lint rule"):
        Config(select=(selector,))
    with pytest.raises(UsageError, match="no lint rule"):
        Config(ignore=(selector,))


def test_the_nearest_rule_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        Config(select=("mk104",))
    assert caught.value.hint == "did you mean MK104?"


def test_the_command_line_replaces_select_and_adds_to_ignore() -> None:
    config = Config(("MK1",), ("MK104",))
    assert config.overridden(["MK2"], ["MK201"]) == Config(("MK2",), ("MK104", "MK201"))
    assert config.overridden() == config
    assert config.overridden(locked=True).locked


def test_the_nearest_file_counts(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[tool.modelkit.lint]\nignore = ["MK104"]\n')
    assert Config.find(inner) == Config(ignore=("MK104",))
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.other]\n")
    assert Config.find(inner) == Config(ignore=("MK104",))
    (tmp_path / "a" / "modelkit.toml").write_text('[lint]\nselect = ["MK1"]\nlocked = true\n')
    assert Config.find(inner) == Config(select=("MK1",), locked=True)
    (inner / "modelkit.toml").write_text("")
    assert Config.find(inner) == Config()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[lint", "cannot read"),
        ('lint = "all"', "is not a table"),
        ("[lint]\nselect = 'MK1'", "not a setting"),
        ("[lint]\nselect = [1]", "not a setting"),
        ("[lint]\nlocked = 1", "not a setting"),
        ("[lint]\nseverity = 'error'", "not a setting"),
        ("[lint]\nignore = ['MK999']", "modelkit.toml: no lint rule"),
    ],
)
def test_settings_that_do_not_exist_are_wrong_usage(
    text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "modelkit.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        Config.find(tmp_path)


def test_a_file_that_is_not_utf8_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "modelkit.toml").write_bytes(b"[lint]\n# \xe9\n")
    with pytest.raises(UsageError, match="cannot read"):
        Config.find(tmp_path)
