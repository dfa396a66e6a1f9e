"""Answered turns are kept within limits, and the ones not used for longest go first."""

from hypothesis import given
from hypothesis import strategies as st

from modelkit.serve.openai.responses.store import ResponseStore, Turn


def turn(name: str, text: str = "", earlier: int = 0) -> Turn:
    said = {"id": f"msg_{name}", "text": text}
    output = {"id": f"out_{name}"}
    return Turn(
        {"id": name, "output": [output]}, [said], [{"id": f"old_{n}"} for n in range(earlier)]
    )


def test_a_turn_comes_back_as_it_was() -> None:
    store = ResponseStore()
    assert store.add(turn("a", "x", earlier=2))
    assert store.get("a") == turn("a", "x", earlier=2)
    assert [item["id"] for item in turn("a", earlier=1).conversation] == ["old_0", "msg_a", "out_a"]


def test_what_was_kept_does_not_change_with_the_original() -> None:
    store, original = ResponseStore(), turn("a")
    store.add(original)
    original.input.clear()
    assert store.get("a") == turn("a")


def test_the_turn_not_used_for_longest_is_forgotten() -> None:
    store = ResponseStore(most=2)
    store.add(turn("a"))
    store.add(turn("b"))
    store.get("a")
    store.add(turn("c"))
    assert [name for name in "abc" if store.get(name)] == ["a", "c"]


def test_bytes_are_a_limit_too() -> None:
    store = ResponseStore(most_bytes=300)
    assert store.add(turn("a", "x" * 100))
    assert store.add(turn("b", "x" * 100))
    assert [name for name in "ab" if store.get(name)] == ["b"]
    assert not store.add(turn("c", "x" * 300))
    assert store.get("b")


def test_a_store_for_nothing_keeps_nothing() -> None:
    assert not ResponseStore(most=0).add(turn("a"))
    assert not ResponseStore(most_bytes=0).add(turn("a"))


def test_what_the_model_made_is_found_as_long_as_its_turn() -> None:
    store = ResponseStore(most=1)
    store.add(turn("a"))
    assert store.item("out_a") == {"id": "out_a"}
    store.add(turn("b"))
    assert store.item("out_a") is None
    assert store.item("out_b") == {"id": "out_b"}


def test_what_a_client_sent_is_for_no_other_client() -> None:
    store = ResponseStore()
    store.add(turn("a", earlier=1))
    assert store.item("msg_a") is None
    assert store.item("old_0") is None


def test_a_turn_is_deleted_once() -> None:
    store = ResponseStore()
    store.add(turn("a"))
    assert store.delete("a")
    assert not store.delete("a")
    assert store.get("a") is None


@given(st.lists(st.integers(0, 1200), max_size=12))
def test_the_limits_hold_whatever_is_kept(numbers: list[int]) -> None:
    store = ResponseStore(most=3, most_bytes=400)
    for number in numbers:
        size, letter = divmod(number, 6)
        name = "abcdef"[letter]
        kept = store.add(turn(name, "x" * size))
        assert kept == (store.get(name) is not None)
        assert sum(store.get(other) is not None for other in "abcdef") <= 3
    for name in "abcdef":
        store.delete(name)
    assert all(store.item(f"out_{name}") is None for name in "abcdef")
