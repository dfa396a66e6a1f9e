"""Tokenizer files to metadata: vocabularies, roles, templates, padding, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.bpe import sentencepiece_model
from modelkit.convert.checkpoint import Checkpoint
from modelkit.convert.config import Config
from modelkit.convert.tokenizer import tokenizer_metadata
from modelkit.errors import ConvertError
from tests.modelkit.convert.samples import Json, change, copy

Files = dict[str, Path]


@pytest.fixture
def llama(tmp_path: Path) -> Files:
    return copy("tiny_llama", tmp_path / "model")


@pytest.fixture
def spm(tmp_path: Path) -> Files:
    return copy("tiny_llama_spm", tmp_path / "model")


def metadata(files: Files, size: int | None = None) -> dict[str, Any]:
    """The tokenizer.ggml.* values, and tokenizer.chat_template*, without their common prefix."""
    checkpoint = Checkpoint(files)
    config = checkpoint.json("config.json")
    if size is not None:
        config["vocab_size"] = size
    found = tokenizer_metadata(checkpoint, Config(config))
    return {
        key.removeprefix("tokenizer.").removeprefix("ggml."): value.value
        for key, value in found.items()
    }


def test_a_vocabulary_smaller_than_the_model_is_padded(llama: Files) -> None:
    found = metadata(llama, 515)
    assert found["tokens"][511:] == ["<|python_tag|>", "[PAD512]", "[PAD513]", "[PAD514]"]
    assert found["token_type"][510:] == [3, 3, 5, 5, 5]


def test_a_vocabulary_larger_than_the_model_is_refused(llama: Files) -> None:
    with pytest.raises(ConvertError, match="but the model has 400 tokens"):
        metadata(llama, 400)


def test_added_tokens_without_an_embedding_are_left_out(llama: Files) -> None:
    assert len(metadata(llama, 505)["tokens"]) == 505


@pytest.mark.parametrize("number", [-1, 1 << 40, 1.5, "3", None, True])
def test_token_ids_that_are_none_are_refused(number: Any, llama: Files) -> None:
    change(llama["tokenizer.json"], lambda t: t["model"]["vocab"].update(new=number))
    with pytest.raises(ConvertError, match="token 'new' has the id"):
        metadata(llama)


def test_an_id_used_twice_is_refused(llama: Files) -> None:
    change(llama["tokenizer.json"], lambda t: t["model"]["vocab"].update(new=5))
    with pytest.raises(ConvertError, match="two tokens have the id 5"):
        metadata(llama)


def added(number: int, content: str, *, special: bool) -> Json:
    return {"id": number, "content": content, "special": special, "normalized": False}


@pytest.mark.parametrize(
    ("content", "special", "kind", "text"),
    [
        ("<tool>", True, 3, "<tool>"),
        ("<tool>", False, 4, "<tool>"),
        ("<|tool|>", False, 3, "<|tool|>"),
        ("<unused7>", False, 3, "<unused7>"),
        ("▁▁", False, 4, "  "),
    ],
)
def test_added_tokens_are_control_or_user_defined(
    content: str, special: bool, kind: int, text: str, llama: Files
) -> None:
    token = added(511, content, special=special)
    change(llama["tokenizer.json"], lambda t: t["added_tokens"].append(token))
    found = metadata(llama)
    assert (found["tokens"][511], found["token_type"][511]) == (text, kind)


@pytest.mark.parametrize(
    "entry", [5, {}, {"id": "7", "content": "x"}, {"id": -1, "content": "x"}, {"id": 3}]
)
def test_an_added_token_without_id_or_content_is_refused(entry: Any, llama: Files) -> None:
    change(llama["tokenizer.json"], lambda t: t["added_tokens"].append(entry))
    with pytest.raises(ConvertError, match="an added token has no id or no content"):
        metadata(llama)


@pytest.mark.parametrize("merge", ["abc", "a b c", ["a"], ["a", 5], 7])
def test_a_bad_merge_is_refused(merge: Any, llama: Files) -> None:
    change(llama["tokenizer.json"], lambda t: t["model"]["merges"].append(merge))
    with pytest.raises(ConvertError, match="is not a merge"):
        metadata(llama)


def test_both_spellings_of_merges_mean_the_same(llama: Files) -> None:
    before = metadata(llama)["merges"]

    def as_pairs(tokenizer: Json) -> None:
        tokenizer["model"]["merges"] = [m.split(" ") for m in tokenizer["model"]["merges"]]

    change(llama["tokenizer.json"], as_pairs)
    assert metadata(llama)["merges"] == before


@pytest.mark.parametrize("kind", ["Unigram", "WordLevel", None])
def test_other_kinds_of_tokenizers_are_refused(kind: str | None, llama: Files) -> None:
    change(llama["tokenizer.json"], lambda t: t["model"].update(type=kind))
    with pytest.raises(ConvertError, match=r"tokenizers of type .* are not supported"):
        metadata(llama)


def test_without_a_post_processor_nothing_is_added_to_a_prompt(llama: Files) -> None:
    change(llama["tokenizer.json"], lambda t: t.update(post_processor=None))
    assert metadata(llama)["add_bos_token"] is False


def test_the_configuration_may_ask_for_a_begin_token(llama: Files) -> None:
    change(llama["tokenizer.json"], lambda t: t.update(post_processor=None))
    change(llama["tokenizer_config.json"], lambda c: c.update(add_bos_token=True))
    assert metadata(llama)["add_bos_token"] is True


def test_ids_come_from_the_configuration_when_no_token_is_named(llama: Files) -> None:
    change(llama["tokenizer_config.json"], lambda c: (c.pop("eos_token"), c.pop("bos_token")))
    change(llama["config.json"], lambda c: c.update(eos_token_id=504, pad_token_id=506))
    found = metadata(llama)
    assert (found["bos_token_id"], found["eos_token_id"], found["padding_token_id"]) == (
        503,
        504,
        506,
    )


@pytest.mark.parametrize("number", [-1, 512, 1 << 40, "3", [1], True])
def test_ids_that_are_none_are_left_out(number: Any, llama: Files) -> None:
    change(llama["config.json"], lambda c: c.update(pad_token_id=number))
    assert "padding_token_id" not in metadata(llama)


def test_a_template_that_ends_with_another_token_makes_the_named_one_the_end_of_turn(
    llama: Files,
) -> None:
    def ends(tokenizer: Json) -> None:
        end = {"SpecialToken": {"id": "<|end_of_text|>", "type_id": 0}}
        tokenizer["post_processor"]["single"].append(end)

    change(llama["tokenizer.json"], ends)
    found = metadata(llama)
    assert (found["eos_token_id"], found["eot_token_id"]) == (504, 510)
    assert found["add_eos_token"] is True


def test_a_chat_template_in_a_file_of_its_own_is_used(llama: Files, tmp_path: Path) -> None:
    change(llama["tokenizer_config.json"], lambda c: c.pop("chat_template"))
    assert "chat_template" not in metadata(llama)
    llama["chat_template.jinja"] = tmp_path / "t.jinja"
    llama["chat_template.jinja"].write_text("{{ messages }}")
    assert metadata(llama)["chat_template"] == "{{ messages }}"


def test_named_chat_templates_are_kept_by_name(llama: Files) -> None:
    templates = [
        {"name": "default", "template": "one"},
        {"name": "tool use", "template": "two"},
        {"name": "broken"},
        "nonsense",
    ]
    change(llama["tokenizer_config.json"], lambda c: c.update(chat_template=templates))
    found = metadata(llama)
    assert found["chat_template"] == "one"
    assert found["chat_template.tool_use"] == "two"
    assert found["chat_templates"] == ["tool_use"]


def test_a_sentencepiece_model_is_padded_and_extended(spm: Files, tmp_path: Path) -> None:
    size = len(metadata(spm)["tokens"])
    spm["added_tokens.json"] = tmp_path / "added.json"
    spm["added_tokens.json"].write_text(json.dumps({"<x>": size, "<y>": size + 9}))
    found = metadata(spm, size + 2)
    assert found["tokens"][-2:] == ["<x>", f"[PAD{size + 1}]"]
    assert found["token_type"][-2:] == [4, 5]
    assert found["scores"][-2:] == [-1000.0, -10000.0]


def test_a_sentencepiece_model_larger_than_the_model_is_refused(spm: Files) -> None:
    with pytest.raises(ConvertError, match=r"tokenizer\.model has 452 tokens"):
        metadata(spm, 400)


def test_a_unigram_sentencepiece_model_is_refused(spm: Files) -> None:
    spm["tokenizer.model"].write_bytes(b"")
    with pytest.raises(ConvertError, match="only byte-pair"):
        metadata(spm)


def test_no_dummy_prefix_is_told_to_the_engine(spm: Files) -> None:
    assert "add_space_prefix" not in metadata(spm)
    raw = spm["tokenizer.model"].read_bytes()
    name = b"identity"
    assert raw.count(name + b"\x18\x01") == 1
    spm["tokenizer.model"].write_bytes(raw.replace(name + b"\x18\x01", name + b"\x18\x00"))
    assert metadata(spm)["add_space_prefix"] is False


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=4), st.integers(0, 80))
def test_a_damaged_sentencepiece_model_is_an_error_or_a_vocabulary(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], size: int
) -> None:
    data = bytearray(sentencepiece_model([("<unk>", 0.0, 2), ("▁a", -1.0, 1)]))
    for position, value in changes:
        data[position % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "tokenizer.model"
    path.write_bytes(data[:size])
    config = Config({"vocab_size": 5})
    try:
        found = tokenizer_metadata(Checkpoint({"tokenizer.model": path}), config)
    except ConvertError:
        return
    tokens = found["tokenizer.ggml.tokens"].value
    assert isinstance(tokens, list)
    assert len(tokens) == 5


def test_a_wordpiece_tokenizer_that_is_not_berts_is_refused(tmp_path: Path) -> None:
    files = copy("all-minilm", tmp_path)
    change(files["tokenizer.json"], lambda t: t.update(pre_tokenizer={"type": "Whitespace"}))
    with pytest.raises(ConvertError, match="does not split text as BERT"):
        metadata(files)
