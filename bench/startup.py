"""How long a command takes to start, in multiples of `python -c pass`."""

import sys
import tempfile

from bench.helpers.timing import alternate, command, print_ratios

ROUNDS = 20


def main() -> None:
    """`--help` and `list` on an empty store, and click alone, which is the floor for both."""
    with tempfile.TemporaryDirectory() as empty:
        environment = f"MODELKIT_MODELS={empty}"
        contenders = {
            "python -c pass": command(sys.executable, "-c", "pass"),
            "import click": command(sys.executable, "-c", "import click"),
            "modelkit --help": command(sys.executable, "-m", "modelkit", "--help"),
            "modelkit list": command("env", environment, sys.executable, "-m", "modelkit", "list"),
        }
        print_ratios(alternate(contenders, ROUNDS), "python -c pass")


if __name__ == "__main__":
    main()
