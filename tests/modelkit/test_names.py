"""Model names: the grammar, the defaults, the two canonical forms."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkit.errors import InvalidName
from modelkit.names import ModelName

FIRST = string.ascii_letters + string.digits + "_"
PART = st.builds(str.__add__, st.sampled_from(FIRST), st.text(FIRST + "-", max_size=20))


@pytest.mark.parametrize(
    ("text", "full", "short"),
    [
        ("xx", "registry.ollama.ai/library/xx:latest", "xx:latest"),
        ("ns/m", "registry.ollama.ai/ns/m:latest", "ns/m:latest"),
        ("host:5000/ns/m:t", "host:5000/ns/m:t", "host:5000/ns/m:t"),
        ("host:5000/ns/m", "host:5000/ns/m:latest", "host:5000/ns/m:latest"),
        ("host/library/m:t", "host/library/m:t", "host/library/m:t"),
        ("hf.co/a/b:Q4_K_M", "hf.co/a/b:Q4_K_M", "hf.co/a/b:Q4_K_M"),
        ("REGISTRY.OLLAMA.AI/LIBRARY/M:T", "REGISTRY.OLLAMA.AI/LIBRARY/M:T", "M:T"),
        ("_why/_the/_lucky:_stiff", "_why/_the/_lucky:_stiff", "_why/_the/_lucky:_stiff"),
    ],
)
def test_a_name_is_completed_with_the_defaults(text: str, full: str, short: str) -> None:
    name = ModelName.parse(text)
    assert name.full == full
    assert name.short == short


def test_a_scheme_is_kept_apart_from_the_path() -> None:
    name = ModelName.parse("scheme://host:port/namespace/model:tag")
    assert name.scheme == "scheme"
    assert str(name.relative_path) == "host:port/namespace/model/tag"


@pytest.mark.parametrize(
    "text",
    [
        "", "mm:", "/nn/mm", "//", "//mm", "hh//", "^", "@t", "m@d", "00@", "a/b/c/d", "a:b:c",
        "-hh/nn/mm:tt", "hh/-nn/mm:tt", "hh/nn/-mm:tt", "hh/nn/mm:-tt", "host/name:space/model:tag",
        "a.b/m", "モデル", "..", "../m", "a/../m", "m:..", "m:tag\n", "m\x00", "a b",
        "m" * 81, "h" * 351 + "/n/m", "n" * 81 + "/m", "m:" + "t" * 81,
    ],
)  # fmt: skip
def test_anything_else_is_not_a_name(text: str) -> None:
    with pytest.raises(InvalidName):
        ModelName.parse(text)


def test_the_longest_parts_are_valid() -> None:
    name = ModelName.parse("h" * 350 + "/" + "n" * 80 + "/" + "m" * 80 + ":" + "t" * 80)
    assert len(name.host) == 350


def test_names_are_equal_without_regard_to_case_or_scheme() -> None:
    one, two = (
        ModelName.parse("Foo:TAG"),
        ModelName.parse("http://registry.ollama.ai/library/foo:tag"),
    )
    assert one == two
    assert len({one, two}) == 1
    assert one != ModelName.parse("foo:other")


@given(PART, PART, PART, PART)
def test_full_and_short_forms_parse_back(host: str, namespace: str, model: str, tag: str) -> None:
    name = ModelName(host, namespace, model, tag)
    assert ModelName.parse(name.full) == name
    assert ModelName.parse(name.short) == name


@given(st.text(max_size=40))
def test_no_text_escapes_the_manifest_folder(text: str) -> None:
    try:
        path = ModelName.parse(text).relative_path
    except InvalidName:
        return
    assert len(path.parts) == 4
    assert not path.is_absolute()
    assert not {".", ".."} & set(path.parts)
