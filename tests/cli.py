"""Running the command line inside the test's own process."""

from dataclasses import dataclass

import pytest

from modelkit.cli.main import cli, guard


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str


class Modelkit:
    """`modelkit(*arguments)` runs the command and returns its Result."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Result:
        words = [str(argument) for argument in arguments]
        self._capsys.readouterr()
        code = guard(lambda: cli.main(words, "modelkit", standalone_mode=False), False)
        out, err = self._capsys.readouterr()
        return Result(code, out, err)

    def fails(self, code: int, *arguments: object) -> str:
        """Run a command that must fail: one line on stderr, this exit code; returns the line."""
        result = self(*arguments)
        errors = [line for line in result.err.splitlines() if line.startswith("Error: ")]
        assert result.code == code, result
        assert len(errors) == 1, result
        assert "Traceback" not in result.err
        assert result.err.splitlines()[-1] == errors[0]
        return errors[0]
