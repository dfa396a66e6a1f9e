"""The embedded registry as a process, and clients that others wrote."""

import gzip
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modelkit.digest import Digest
from modelkit.manifest import MediaType
from modelkit.names import ModelName
from modelkit.store import Store
from tests.registry.embedded import running_registry


@contextmanager
def process(root: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    command = [sys.executable, "-W", "error", "-m", "modelkit", "registry", "serve"]
    command += ["--port", "0", "--root", str(root)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stderr is not None
            yield server, server.stderr.readline().strip().removeprefix("Listening on ")
        finally:
            server.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with process(tmp_path / "store") as (server, url):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as client:
            client.sendall(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
            server.send_signal(number)
            out, err = server.communicate(timeout=20)
        assert (server.returncode, out, err) == (0, "", "")


def test_nothing_is_written_before_something_is_pushed(tmp_path: Path) -> None:
    with process(tmp_path / "store") as (server, _):
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=20)
    assert not (tmp_path / "store").exists()


# skopeo: an independent client, for OCI images


def oci_layout(folder: Path) -> dict[str, bytes]:
    """A small image in an OCI layout; returns its blobs by digest."""
    content = bytes(range(256)) * 2000
    diff = str(Digest.of(content))
    layer = gzip.compress(content, mtime=0)
    rootfs = {"type": "layers", "diff_ids": [diff]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MediaType.OCI_MANIFEST,
            "config": described(config, MediaType.OCI_CONFIG),
            "layers": [described(layer, "application/vnd.oci.image.layer.v1.tar+gzip")],
        }
    ).encode()
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for data in (layer, config, manifest):
        (blobs / Digest.of(data).hex).write_bytes(data)
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    entry = described(manifest, MediaType.OCI_MANIFEST)
    entry["annotations"] = {"org.opencontainers.image.ref.name": "v1"}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return {str(Digest.of(data)): data for data in (layer, config, manifest)}


def described(data: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data)}


def skopeo(*arguments: str) -> str:
    command = ["skopeo", "--insecure-policy", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"users": {"alice": "wonder"}},
        {"users": {"alice": "wonder"}, "bearer": True},
    ],
    ids=["open", "basic", "bearer"],
)
def test_skopeo_pushes_inspects_lists_pulls_and_deletes(
    store: Store, tmp_path: Path, options: dict[str, object]
) -> None:
    blobs = oci_layout(tmp_path / "in")
    login = ["alice:wonder"] if options else []
    with running_registry(store, **options) as registry:
        image = f"docker://{registry.host}/lab/image:v1"
        to = ["--dest-tls-verify=false", *(f"--dest-creds={item}" for item in login)]
        source = ["--src-tls-verify=false", *(f"--src-creds={item}" for item in login)]
        plain = ["--tls-verify=false", *(f"--creds={item}" for item in login)]
        skopeo("copy", *to, f"oci:{tmp_path}/in:v1", image)
        raw = skopeo("inspect", "--raw", *plain, image).encode()
        assert blobs[str(Digest.of(raw))] == raw
        listed = json.loads(skopeo("list-tags", *plain, f"docker://{registry.host}/lab/image"))
        assert listed["Tags"] == ["v1"]
        (tmp_path / "out").mkdir()
        skopeo("copy", *source, image, f"oci:{tmp_path}/out:v1")
        skopeo("copy", *source, *to, image, f"docker://{registry.host}/lab/copy:v2")
        skopeo("delete", *plain, image)
    pulled = {path.name: path.read_bytes() for path in (tmp_path / "out/blobs/sha256").iterdir()}
    assert {f"sha256:{name}": data for name, data in pulled.items()} == blobs
    assert store.names() == [ModelName.parse("lab/copy:v2")]
    assert store.check(ModelName.parse("lab/copy:v2")) == []
