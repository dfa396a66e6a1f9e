"""The command line: help that teaches, data on stdout, errors in one line, exit codes."""

import io
import json
import sys
import time
from pathlib import Path

import pytest

from modelkit.cli.console import progress
from modelkit.cli.format import human_age, human_bytes, table
from modelkit.cli.main import ALIASES, VERBS
from modelkit.digest import Digest
from modelkit.progress import Progress
from modelkit.store import Store
from tests.cli import Modelkit
from tests.modelkit.test_store import model


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_teaches_itself(modelkit: Modelkit, verb: str) -> None:
    result = modelkit(verb, "--help")
    assert result.code == 0
    if "Commands:" not in result.out:
        assert "Example" in result.out


def test_help_lists_every_command_and_the_exit_codes(modelkit: Modelkit) -> None:
    out = modelkit("--help").out
    assert all(f"\n  {verb} " in out for verb in VERBS)
    assert "4 refused by policy" in out


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_is_the_command(modelkit: Modelkit, alias: str) -> None:
    assert modelkit(alias, "--help").code == 0


def test_a_command_that_is_none_names_the_nearest(modelkit: Modelkit) -> None:
    assert "did you mean 'list'?" in modelkit.fails(2, "lst")


@pytest.mark.parametrize(
    "arguments", [["rm"], ["cp", "a"], ["list", "--nonsense"], ["build"], ["rm", "a b"]]
)
def test_wrong_usage_exits_with_2(modelkit: Modelkit, arguments: list[str]) -> None:
    modelkit.fails(2, *arguments)


def test_list_shows_the_models_newest_first(modelkit: Modelkit, models: Store) -> None:
    old = model(models, "old")
    time.sleep(0.02)
    model(models, "ns/new:v1", weights=b"x" * 1500)
    lines = modelkit("list").out.splitlines()
    assert lines[0].split() == ["NAME", "ID", "SIZE", "MODIFIED"]
    assert [line.split()[0] for line in lines[1:]] == ["ns/new:v1", "old:latest"]
    assert lines[2].split()[1] == old.digest.short
    assert lines[2].endswith("Less than a second ago")


def test_list_takes_a_prefix_and_prints_json(modelkit: Modelkit, models: Store) -> None:
    manifest = model(models, "foo")
    model(models, "bar")
    listed = json.loads(modelkit("list", "--json", "FO").out)
    assert [item["name"] for item in listed] == ["foo:latest"]
    assert listed[0]["digest"] == manifest.digest.hex
    assert listed[0]["size"] == manifest.size


def test_an_empty_store_lists_a_header_only(modelkit: Modelkit, models: Store) -> None:
    assert modelkit("ls").out.split() == ["NAME", "ID", "SIZE", "MODIFIED"]


def test_cp_and_rm_change_the_store(modelkit: Modelkit, models: Store) -> None:
    model(models, "foo")
    assert modelkit("cp", "foo", "bar").out == "copied 'foo' to 'bar'\n"
    assert modelkit("rm", "foo", "bar").out == "deleted 'foo:latest'\ndeleted 'bar:latest'\n"
    assert models.names() == []


@pytest.mark.parametrize(
    "arguments", [["rm", "no"], ["cp", "no", "x"], ["show", "no"], ["sign", "no"]]
)
def test_a_model_that_is_not_there_exits_with_3(
    modelkit: Modelkit, models: Store, arguments: list[str]
) -> None:
    if arguments[0] == "sign":
        assert modelkit("keygen").code == 0
    assert "model 'no:latest' not found" in modelkit.fails(3, *arguments)


def test_a_missing_modelfile_exits_with_3(
    modelkit: Modelkit, models: Store, tmp_path: Path
) -> None:
    line = modelkit.fails(3, "build", "-t", "x", "-f", tmp_path / "none")
    assert "no Modelfile at" in line
    assert "-f" in line


@pytest.mark.parametrize("verb", [["build", "-t", "piped"], ["create", "piped"]])
def test_a_modelfile_comes_from_standard_input(
    modelkit: Modelkit, models: Store, gguf: Path, monkeypatch: pytest.MonkeyPatch, verb: list[str]
) -> None:
    monkeypatch.chdir(gguf.parent)
    text = f"FROM ./{gguf.name}\nSYSTEM Größe\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode()), "ascii"))
    assert modelkit(*verb, "-f", "-").code == 0
    assert modelkit("show", "piped", "--system").out == "Größe"


def test_mistakes_on_standard_input_are_pointed_at(
    modelkit: Modelkit, models: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"FROM x\nFORM y\n")))
    assert "standard input:2:1: " in modelkit.fails(1, "build", "-t", "x", "-f", "-")


def test_prune_says_how_much_went(modelkit: Modelkit, models: Store) -> None:
    models.add_bytes(b"garbage")
    assert modelkit("prune").out == "removed 0 blobs\n"
    assert modelkit("prune", "--now").out == "removed 1 blob\n"


def test_a_server_that_does_not_answer_is_named(modelkit: Modelkit) -> None:
    line = modelkit.fails(1, "--host", "127.0.0.1:1", "list")
    assert "could not connect to a server at http://127.0.0.1:1" in line
    assert "modelkit serve" in line


def test_a_bug_is_one_line_too(modelkit: Modelkit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelkit.cli.list.backend", lambda _: 1 / 0)
    assert "this is a bug" in modelkit.fails(1, "list")


def test_ctrl_c_exits_with_130(modelkit: Modelkit, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("modelkit.cli.list.backend", interrupt)
    assert "interrupted" in modelkit.fails(130, "list")


def test_keygen_sign_and_verify_work_together(modelkit: Modelkit, models: Store) -> None:
    model(models, "foo")
    made = json.loads(modelkit("keygen", "--json").out)
    assert modelkit("sign", "foo").code == 0
    checked = json.loads(modelkit("verify", "--json", "--key", made["public"], "foo").out)
    assert checked["signers"] == [made["fingerprint"]]


def test_verify_fails_without_a_signature(modelkit: Modelkit, models: Store) -> None:
    model(models, "foo")
    public = json.loads(modelkit("keygen", "--json").out)["public"]
    assert "no signature" in modelkit.fails(1, "verify", "--key", public, "foo")


def test_verify_finds_a_damaged_blob(modelkit: Modelkit, models: Store) -> None:
    manifest = model(models, "foo")
    models.blob_path(manifest.layers[0].digest).write_bytes(b"Weights")
    assert "is damaged" in modelkit.fails(1, "verify", "foo")


def test_verify_obeys_the_policy(modelkit: Modelkit, models: Store) -> None:
    model(models, "foo")
    assert "accepted by the policy" in modelkit("verify", "foo").out
    policy = Path.home() / ".modelkit" / "policy.json"
    policy.parent.mkdir(parents=True, exist_ok=True)
    policy.write_text('{"default": [{"type": "reject"}]}')
    modelkit.fails(4, "verify", "foo")


def test_verify_store_names_the_damaged_models(modelkit: Modelkit, models: Store) -> None:
    model(models, "good")
    manifest = model(models, "bad", weights=b"others")
    assert modelkit("verify-store").out == "2 models are whole\n"
    models.blob_path(manifest.layers[0].digest).write_bytes(b"damage")
    assert "1 of 2 models are damaged: bad:latest" in modelkit.fails(1, "verify-store")


def test_sign_without_a_key_says_how_to_make_one(modelkit: Modelkit, models: Store) -> None:
    model(models, "foo")
    assert "modelkit keygen" in modelkit.fails(3, "sign", "foo")


def test_progress_without_a_terminal_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    digest = Digest.of(b"")
    with progress() as report:
        report(Progress("pulling manifest"))
        for completed in range(0, 2_000_001, 1000):
            report(Progress("pulling e3b0c44298fc", digest, total=2_000_000, completed=completed))
        report(Progress("success"))
    assert capsys.readouterr().err.splitlines() == [
        "pulling manifest",
        "pulling e3b0c44298fc",
        "pulling e3b0c44298fc: 100% of 2 MB",
        "success",
    ]


def test_progress_on_a_terminal_is_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress() as report:
        report(Progress("pulling manifest"))
        for completed in (0, 1_000_000, 2_000_000):
            report(Progress("pulling e3b0", total=2_000_000, completed=completed))
    err = capsys.readouterr().err
    assert "pulling manifest\n" in err
    assert "pulling e3b0: 100%" in err


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 KB"), (1500, "1.5 KB"), (46_240_000, "46 MB"),
     (999_999, "999 KB"), (2_000_000_000, "2 GB"), (1_999_999_999_999, "2.0 TB")],
)  # fmt: skip
def test_sizes_are_decimal(size: int, text: str) -> None:
    assert human_bytes(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "Less than a second"), (1, "1 second"), (42, "42 seconds"), (60, "About a minute"),
     (150, "2 minutes"), (3600, "About an hour"), (47 * 3600, "47 hours"), (3 * 86400, "3 days"),
     (15 * 86400, "2 weeks"), (61 * 86400, "2 months"), (800 * 86400, "2 years")],
)  # fmt: skip
def test_ages_read_like_speech(seconds: float, text: str) -> None:
    assert human_age(seconds) == text


def test_a_table_is_aligned() -> None:
    assert table(("A", "LONG"), [("xx", "y")]) == "A     LONG\nxx    y"
