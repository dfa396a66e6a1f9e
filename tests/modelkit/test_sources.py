import os
import socket
from pathlib import Path

import pytest

from modelkit.compiler.sources import (
    content_type,
    exists,
    expand_directory,
    expand_path,
    looks_like_path,
    model_files,
    relative_names,
)
from modelkit.errors import ModelkitError

BINARY = b"\x00\x01weights"
ZIP = b"PK\x03\x04weights"
TEXT = b"{}"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"


def put(folder: Path, content: bytes, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def names(folder: Path) -> list[str]:
    return list(expand_directory(folder))


def refusal(path: Path) -> ModelkitError:
    with pytest.raises(ModelkitError) as caught:
        model_files(path)
    return caught.value


@pytest.mark.parametrize(
    "text", [".", "..", "./a", "../a", "/a", "~/a", "~bob", "\\a", "a.gguf", "a/B.SAFETENSORS"]
)
def test_a_path_is_told_from_a_name_by_its_look(text: str) -> None:
    assert looks_like_path(text)


@pytest.mark.parametrize("text", ["llama3.2", "hf.co/a/b-GGUF:Q4_K_M", "a/b", "", ".hidden"])
def test_a_name_does_not_look_like_a_path(text: str) -> None:
    assert not looks_like_path(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/b", "/work/a/b"),
        (".", "/work"),
        ("", "/work"),
        ("../a", "/a"),
        ("./x/../y", "/work/y"),
        ("/abs/x", "/abs/x"),
        ("$HOME/*.gguf", "/work/$HOME/*.gguf"),
    ],
)
def test_a_path_starts_in_the_folder_of_the_modelfile(text: str, expected: str) -> None:
    assert expand_path(text, Path("/work")) == Path(expected)


def test_a_relative_folder_gives_absolute_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert expand_path("a", Path()) == tmp_path / "a"


def test_a_tilde_is_a_home_folder() -> None:
    assert expand_path("~", Path("/work")) == Path(os.environ["HOME"])
    assert expand_path("~/x", Path("/work")) == Path(os.environ["HOME"]) / "x"
    assert expand_path("~root/x", Path("/work")) == Path("~root").expanduser() / "x"
    with pytest.raises(ModelkitError, match=r"^failed to find user 'no-such-user': "):
        expand_path("~no-such-user/x", Path("/work"))


def test_a_name_too_long_for_the_file_system_does_not_exist(tmp_path: Path) -> None:
    assert not exists(tmp_path / ("x" * 5000))
    put(tmp_path, TEXT, "file")
    assert not exists(tmp_path / "file" / "below")
    assert exists(tmp_path / "file")


def test_a_path_that_cannot_be_followed_is_an_error_and_not_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ModelkitError, match=r"cannot read .*loop"):
        exists(tmp_path / "loop")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"", "text/plain"),
        (b'{"a": 1}\n', "text/plain"),
        ("größe".encode(), "text/plain"),
        (b"\xff\xfea\x00", "text/plain"),
        (b"PK\x03\x04\x14", "application/zip"),
        (b"GGUF\x03\x00", "application/octet-stream"),
        (b"text\x1b[1m", "text/plain"),
        (b"text\x0e", "application/octet-stream"),
    ],
)
def test_a_type_is_known_by_the_first_bytes(head: bytes, kind: str) -> None:
    assert content_type(head) == kind


def test_the_first_group_of_weights_wins(tmp_path: Path) -> None:
    put(tmp_path, BINARY, "weights.bin")
    assert names(tmp_path) == ["weights.bin"]
    put(tmp_path, BINARY, "b.gguf", "a.gguf")
    assert names(tmp_path) == ["a.gguf", "b.gguf"]
    put(tmp_path, ZIP, "consolidated.00.pth")
    assert names(tmp_path) == ["consolidated.00.pth"]
    put(tmp_path, ZIP, "pytorch_model.bin")
    assert names(tmp_path) == ["pytorch_model.bin"]
    put(tmp_path, BINARY, "consolidated.safetensors")
    assert names(tmp_path) == ["consolidated.safetensors"]
    put(tmp_path, BINARY, "model-2.safetensors", "model-1.safetensors", "sub/model.safetensors")
    assert names(tmp_path) == [
        "model-1.safetensors",
        "model-2.safetensors",
        "sub/model.safetensors",
    ]


def test_a_sentence_transformers_folder_gives_its_nested_config(tmp_path: Path) -> None:
    put(tmp_path, BINARY, "model.safetensors")
    put(tmp_path, TEXT, "config.json", "tokenizer.json", "1_Pooling/config.json", "a/b/c.json")
    put(tmp_path, TEXT, "README.md", "vocab.txt", "chat_template.jinja", ".cache/x.json")
    assert sorted(names(tmp_path)) == [
        "1_Pooling/config.json",
        "chat_template.jinja",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]


def test_a_tokenizer_model_is_binary_beside_the_weights_or_text_one_folder_down(
    tmp_path: Path,
) -> None:
    put(tmp_path, BINARY, "model.safetensors")
    put(tmp_path, TEXT, "tokenizer.model", "original/tokenizer.model")
    assert names(tmp_path) == ["model.safetensors", "original/tokenizer.model"]
    put(tmp_path, BINARY, "tokenizer.model")
    assert names(tmp_path) == ["model.safetensors", "tokenizer.model"]
    put(tmp_path, TEXT, "tokenizer.model")
    put(tmp_path, BINARY, "original/tokenizer.model")
    assert names(tmp_path) == ["model.safetensors"]


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    put(tmp_path, TEXT, "README.md", "config.json")
    error = refusal(tmp_path)
    assert error.message == "no Modelfile or safetensors files found"
    assert str(tmp_path) in (error.hint or "")


def test_weights_of_the_wrong_type_are_passed_over_for_the_next_group(tmp_path: Path) -> None:
    put(tmp_path, TEXT, "pytorch_model.bin")
    put(tmp_path, BINARY, "model.gguf")
    assert names(tmp_path) == ["model.gguf"]


def test_weights_of_the_wrong_type_alone_are_refused(tmp_path: Path) -> None:
    put(tmp_path, TEXT, "pytorch_model.bin")
    assert refusal(tmp_path).message == (
        f"invalid content type: expected application/zip for {tmp_path / 'pytorch_model.bin'}"
    )


def test_a_json_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    put(tmp_path, BINARY, "model.safetensors", "config.json")
    assert refusal(tmp_path).message.startswith("invalid content type: expected text/plain for ")


def test_a_git_lfs_pointer_is_named_for_what_it_is(tmp_path: Path) -> None:
    put(tmp_path, POINTER, "model.safetensors")
    for path in (tmp_path, tmp_path / "model.safetensors"):
        error = refusal(path)
        assert error.message.endswith("model.safetensors is a Git LFS pointer, not the file itself")
        assert error.hint == f"run `git lfs pull` in {tmp_path}"


def test_an_adapter_folder_gives_its_adapter(tmp_path: Path) -> None:
    put(tmp_path, BINARY, "adapter_model.safetensors")
    put(tmp_path, TEXT, "adapter_config.json")
    assert list(relative_names(model_files(tmp_path, adapter=True))) == [
        "adapter_model.safetensors",
        "adapter_config.json",
    ]
    assert refusal(tmp_path).message == "no Modelfile or safetensors files found"


def test_a_link_inside_the_folder_keeps_its_own_name(tmp_path: Path) -> None:
    put(tmp_path, BINARY, "real/blobs/abc")
    (tmp_path / "real" / "model.safetensors").symlink_to("blobs/abc")
    (tmp_path / "folder").symlink_to("real")
    assert expand_directory(tmp_path / "folder") == {
        "model.safetensors": tmp_path / "folder" / "model.safetensors"
    }


def test_a_link_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    put(tmp_path, BINARY, "secret")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").symlink_to("../secret")
    assert refusal(tmp_path / "model").message == "insecure path: ../secret"


def test_a_link_into_a_download_cache_is_refused_with_the_way_out(tmp_path: Path) -> None:
    put(tmp_path, BINARY, ".cache/blobs/abc")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").symlink_to("../.cache/blobs/abc")
    error = refusal(tmp_path / "model")
    assert error.message == "insecure path: ../.cache/blobs/abc"
    assert error.hint == "Use --local-dir <dir> when downloading model to disable caching"


def test_a_broken_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").symlink_to("gone")
    assert refusal(tmp_path).message == f"not a regular file: {tmp_path / 'model.safetensors'}"


def test_a_device_or_socket_is_refused_unread(tmp_path: Path) -> None:
    assert refusal(Path("/dev/zero")).message == "not a regular file: /dev/zero"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "model.safetensors"))
        assert refusal(tmp_path).message.startswith("not a regular file: ")


def test_a_file_that_cannot_be_read_is_refused() -> None:
    # Nothing is mapped at the start of a process's memory, so its first byte cannot be read.
    assert refusal(Path("/proc/self/mem")).message == (
        "cannot read /proc/self/mem: Input/output error"
    )


def test_one_part_of_a_split_gguf_stands_for_all(tmp_path: Path) -> None:
    parts = [f"big-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    put(tmp_path, BINARY, *parts, "other.gguf")
    assert model_files(tmp_path / parts[1]) == [tmp_path / part for part in parts]
    (tmp_path / parts[2]).unlink()
    assert refusal(tmp_path / parts[0]).message == (
        'split GGUF "big-00001-of-00003.gguf" is incomplete: big-00003-of-00003.gguf is missing'
    )


def test_a_folder_with_a_split_gguf_gives_every_part(tmp_path: Path) -> None:
    put(tmp_path, BINARY, "big-00001-of-00002.gguf", "big-00002-of-00002.gguf")
    assert names(tmp_path) == ["big-00001-of-00002.gguf", "big-00002-of-00002.gguf"]


def test_files_are_named_from_their_deepest_common_folder() -> None:
    a, b = Path("/m/x/a.gguf"), Path("/m/y/z/b.gguf")
    assert relative_names([]) == {}
    assert relative_names([a]) == {"a.gguf": a}
    assert relative_names([a, a]) == {"a.gguf": a}
    assert relative_names([a, b]) == {"x/a.gguf": a, "y/z/b.gguf": b}
