"""How long a Modelfile takes to parse: a typical one, and one of 10 kB."""

import statistics
from collections.abc import Callable
from functools import partial

from bench.helpers.timing import seconds
from modelkit.modelfile import Modelfile

ROUNDS = 200
TYPICAL = '''# A helpful assistant
FROM llama3.2
PARAMETER temperature 0.7
PARAMETER num_ctx 4096
PARAMETER stop "<|eot_id|>"
TEMPLATE """{{ if .System }}<|system|>{{ .System }}<|end|>{{ end }}
{{- range .Messages }}<|{{ .Role }}|>{{ .Content }}<|end|>
{{ end }}<|assistant|>"""
SYSTEM """You are brief.
You are kind."""
LICENSE Apache-2.0
MESSAGE user Hi
MESSAGE assistant Hello!
'''


def main() -> None:
    """Medians after a first parse, which loads the grammar."""
    large = "FROM llama3.2\n" + "".join(
        f"# Note {number}\nPARAMETER stop <|end_{number}|>\n" for number in range(280)
    )
    first = seconds(lambda: Modelfile.parse(TYPICAL))
    print(f"first parse, with the grammar's loading  {first * 1000:7.2f} ms")
    for text in (TYPICAL, large):
        spent = median(partial(Modelfile.parse, text))
        print(f"{len(text.encode()):>6} bytes, median of {ROUNDS:<16}  {spent * 1000:7.2f} ms")


def median(run: Callable[[], object]) -> float:
    """The median of ROUNDS calls."""
    return statistics.median(seconds(run) for _ in range(ROUNDS))


if __name__ == "__main__":
    main()
