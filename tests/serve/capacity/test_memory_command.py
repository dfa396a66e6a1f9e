"""`modelkit show --memory`, and what `modelkit ps` says of runners that died."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from modelkit.store import Store
from tests.cli import Modelkit
from tests.serve.api.harness import add_model, running


@pytest.fixture
def tiny(models: Store, tiny_llama: Path) -> Store:
    """The commands' own store, with one model that was made for 512 tokens at most."""
    add_model(models, "tiny", tiny_llama, parameters={"num_ctx": 256})
    return models


def test_show_memory_adds_up(tiny: Store, modelkit: Modelkit) -> None:
    shown = json.loads(modelkit("show", "tiny", "--memory", "--json").out)
    assert (shown["num_ctx"], shown["num_parallel"], shown["kv_cache_type"]) == (256, 8, "f16")
    parts = [shown[name] for name in ("weights", "cache", "compute", "prefixes", "runtime")]
    assert shown["total"] == sum(parts)
    assert all(parts)


def test_show_memory_takes_other_options(
    tiny: Store, modelkit: Modelkit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cache(*options: str) -> int:
        shown = json.loads(modelkit("show", "tiny", "--memory", "--json", *options).out)
        return int(shown["cache"])

    usual = cache()
    assert cache("--parallel", "1") == usual // 8
    assert cache("--num-ctx", "512") == 2 * usual
    monkeypatch.setenv("OLLAMA_KV_CACHE_TYPE", "f32")
    assert cache() == 2 * usual


def test_show_memory_is_a_table_for_people(tiny: Store, modelkit: Modelkit) -> None:
    lines = modelkit("show", "tiny", "--memory").out.splitlines()
    assert lines[0] == "  Memory"
    names = [line.split()[0] for line in lines[1:] if line]
    parts = ["weights", "cache", "compute", "prefixes", "runtime"]
    assert names == [*parts, "total", "available"]
    assert "(8 x 256 tokens, f16)" in lines[2]


def test_show_memory_needs_the_files(tiny: Store, modelkit: Modelkit) -> None:
    line = modelkit.fails(2, "--host", "127.0.0.1:1", "show", "tiny", "--memory")
    assert "--memory reads the model's files" in line


def test_ps_says_why_a_runner_died(tiny: Store, modelkit: Modelkit) -> None:
    with running(tiny) as server:
        server.post("/api/generate", {"model": "tiny"})
        [entry] = server.scheduler._roster
        os.kill(entry.runner.pid, signal.SIGKILL)
        while not (failures := server.request("GET", "/api/ps").json.get("failures")):
            time.sleep(0.01)
        assert failures[0]["name"] == "tiny:latest"
        assert failures[0]["error"] == "killed by SIGKILL"
        printed = modelkit("--host", server.url, "ps")
        [listed] = json.loads(modelkit("--host", server.url, "ps", "--json").out)
    assert printed.err.startswith("tiny:latest: its runner died ")
    assert printed.err.endswith(" ago: killed by SIGKILL\n")
    assert (listed["error"], listed["deaths"]) == ("killed by SIGKILL", 1)
