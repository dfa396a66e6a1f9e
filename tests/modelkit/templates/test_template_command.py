"""modelkit template render."""

import json
from pathlib import Path

import pytest

from modelkit.store import Store
from tests.cli import Modelkit
from tests.modelkit.models import LLAMA, make
from tests.modelkit.templates.families import FOLDER, text

TALK, TOOL_TALK = FOLDER / "conversation.json", FOLDER / "tool_conversation.json"
TOOLS = FOLDER / "tools.json"
VOCABULARY: dict[str, object] = {
    "tokenizer.ggml.tokens": ["<s>", "</s>", "c"],
    "tokenizer.ggml.bos_token_id": 0,
    "tokenizer.ggml.eos_token_id": 1,
}


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    """A conversation of one message."""
    path = tmp_path / "hello.json"
    path.write_text('[{"role": "user", "content": "Hi"}]')
    return path


def test_a_go_template_is_shown_at_work(modelkit: Modelkit) -> None:
    result = modelkit(
        *("template", "render", "--template", FOLDER / "qwen2.5.gotmpl"),
        *("--messages", TOOL_TALK, "--tools", TOOLS),
    )
    assert (result.code, result.out) == (0, text("qwen2.5.tools.txt"))


def test_a_jinja_template_is_shown_at_work(modelkit: Modelkit) -> None:
    path = FOLDER / "chatml.jinja"
    result = modelkit("template", "render", "--template", path, "--messages", TALK)
    assert (result.code, result.out) == (0, text("chatml.txt"))


def test_the_language_is_told_by_name_or_text_or_by_the_user(
    modelkit: Modelkit, tmp_path: Path, hello: Path
) -> None:
    template = tmp_path / "template"
    for source, more, expected in (
        ("{{ .Prompt }}", (), "Hi"),
        ("{% if true %}{{ messages[0].content }}{% endif %}", (), "Hi"),
        ("{{ messages[0].role }}", ("--language", "jinja"), "user"),
        ("{% .Prompt %}{{ .Prompt }}", ("--language", "go"), "{% .Prompt %}Hi"),
    ):
        template.write_text(source)
        result = modelkit("template", "render", "--template", template, "--messages", hello, *more)
        assert (result.out, result.err) == (expected, "")


@pytest.mark.parametrize(
    ("think", "expected"), [("true", "/think"), ("false", "/no_think"), ("high", "/think")]
)
def test_thinking_can_be_asked_for(
    modelkit: Modelkit, hello: Path, think: str, expected: str
) -> None:
    path = FOLDER / "qwen3.gotmpl"
    arguments = ("template", "render", "--template", path, "--messages", hello, "--think", think)
    assert f"Hi {expected}<|im_end|>" in modelkit(*arguments).out


def test_a_models_go_template_sees_its_system_text_and_messages(
    modelkit: Modelkit, models: Store, tmp_path: Path, hello: Path
) -> None:
    template, stored = text("chatml.gotmpl"), (("user", "a"), ("assistant", "b"))
    make(models, tmp_path, LLAMA, template=template, system="Sir", messages=stored)
    result = modelkit("template", "render", "--model", "test", "--messages", hello, "--json")
    turns = (("system", "Sir"), *stored, ("user", "Hi"))
    prompt = "".join(f"<|im_start|>{role}\n{said}<|im_end|>\n" for role, said in turns)
    assert json.loads(result.out) == {
        "prompt": f"{prompt}<|im_start|>assistant\n",
        "language": "go",
    }


def test_a_models_chat_template_sees_its_tokens(
    modelkit: Modelkit, models: Store, tmp_path: Path, hello: Path
) -> None:
    source = "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"
    metadata = LLAMA | VOCABULARY | {"tokenizer.chat_template": source}
    arguments = ("template", "render", "--model", "test", "--messages", hello)
    make(models, tmp_path, metadata)
    assert modelkit(*arguments).out == "Hi</s>"
    make(models, tmp_path, metadata | {"tokenizer.ggml.add_bos_token": False})
    assert modelkit(*arguments).out == "<s>Hi</s>"


def test_a_chat_template_for_tools_is_used_with_tools(
    modelkit: Modelkit, models: Store, tmp_path: Path, hello: Path
) -> None:
    key = "tokenizer.chat_template"
    make(models, tmp_path, LLAMA | {key: "no", f"{key}.tool_use": "{{ tools[0].function.name }}"})
    arguments = ("template", "render", "--model", "test", "--messages", hello)
    assert modelkit(*arguments).out == "no"
    assert modelkit(*arguments, "--tools", TOOLS).out == "weather"


def test_a_valid_template_is_said_to_be_valid(modelkit: Modelkit) -> None:
    go, jinja = FOLDER / "qwen2.5.gotmpl", FOLDER / "qwen2.5.jinja"
    result = modelkit("template", "render", "--check", "--template", go)
    assert result.out == f"{go}: valid Go template: tools\n"
    result = modelkit("template", "render", "--check", "--template", jinja, "--json")
    assert json.loads(result.out) == {"language": "jinja", "capabilities": ["tools"]}


def test_a_models_template_can_be_checked(
    modelkit: Modelkit, models: Store, tmp_path: Path
) -> None:
    make(models, tmp_path, LLAMA)
    result = modelkit("template", "render", "--check", "--model", "test")
    assert result.out == "test:latest: valid Go template\n"


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("a.gotmpl", "a\n{{ if .Prompt }}", ":2:"),
        ("a.gotmpl", "a\n  {{ Prompt }}", ':2:6: function "Prompt" not defined'),
        ("a.jinja", "{% if %}", "does not compile"),
    ],
)
def test_a_template_that_is_not_valid_is_pointed_at(
    modelkit: Modelkit, tmp_path: Path, name: str, source: str, message: str
) -> None:
    path = tmp_path / name
    path.write_text(source)
    error = modelkit.fails(1, "template", "render", "--check", "--template", path)
    assert str(path) in error
    assert message in error


def test_a_template_that_fails_is_pointed_at(
    modelkit: Modelkit, tmp_path: Path, hello: Path
) -> None:
    path = tmp_path / "a.gotmpl"
    path.write_text("\n{{ slice .Prompt 9 }}")
    error = modelkit.fails(1, "template", "render", "--template", path, "--messages", hello)
    assert f"{path}:2:" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "exactly one of --model and --template"),
        (("--model", "a", "--template", FOLDER / "chatml.jinja"), "exactly one of"),
        (("--template", FOLDER / "chatml.jinja"), "--messages is needed"),
        (
            ("--template", FOLDER / "chatml.jinja", "--messages", FOLDER / "chatml.txt"),
            "JSON is malformed",
        ),
        (("--template", FOLDER / "chatml.jinja", "--messages", TALK, "--tools", "x"), "not exist"),
        (
            ("--template", FOLDER / "chatml.jinja", "--messages", TALK, "--think", "so"),
            "invalid think value",
        ),
    ],
)
def test_wrong_usage_is_explained(
    modelkit: Modelkit, arguments: tuple[object, ...], message: str
) -> None:
    assert message in modelkit.fails(2, "template", "render", *arguments)


def test_a_file_that_is_not_text_is_refused(modelkit: Modelkit, tmp_path: Path) -> None:
    path = tmp_path / "a.gotmpl"
    path.write_bytes(b"\xff")
    error = modelkit.fails(2, "template", "render", "--check", "--template", path)
    assert "not UTF-8" in error


def test_an_unknown_model_is_not_found(modelkit: Modelkit, models: Store, hello: Path) -> None:
    assert not models.names()
    assert "not found" in modelkit.fails(
        3, "template", "render", "--model", "none", "--messages", hello
    )


def test_a_build_with_a_broken_template_fails(
    modelkit: Modelkit, models: Store, tmp_path: Path, gguf: Path
) -> None:
    modelfile = tmp_path / "Modelfile"
    modelfile.write_text(f"FROM {gguf}\nTEMPLATE {{{{ .Prompt\n")
    error = modelkit.fails(1, "build", "-f", modelfile, "-t", "new")
    assert "template error: template: :1: unclosed action" in error
    assert not models.names()
