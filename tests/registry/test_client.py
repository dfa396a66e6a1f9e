"""The distribution API, spoken to Debian's docker-registry and to servers that lie."""

import datetime
import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from modelkit.digest import Digest
from modelkit.errors import Cancelled, DigestMismatch, NotFound, RegistryError, Unreachable
from modelkit.manifest import Manifest, MediaType
from modelkit.names import ModelName
from modelkit.progress import Progress
from modelkit.registry.client import RegistryClient
from modelkit.registry.transfer import pull, push
from modelkit.registry.transfer.upload import upload_bytes
from modelkit.store import Store
from tests.registry.servers import (
    MIB,
    DockerRegistry,
    Reply,
    StartRegistry,
    WebServer,
    add_model,
    free_port,
    pattern,
)


@pytest.fixture
def pushed(registry: DockerRegistry, store: Store) -> Manifest:
    """A model `lab/m:v1` on the registry."""
    manifest = add_model(store, registry.name(), pattern(3000))
    push(registry.name(), store)
    return manifest


def test_manifests_come_back_byte_for_byte(registry: DockerRegistry, pushed: Manifest) -> None:
    with RegistryClient(registry.host) as client:
        assert client.manifest("lab/m", "v1") == (pushed.raw, MediaType.MANIFEST_V2)
        assert client.manifest("lab/m", str(pushed.digest))[0] == pushed.raw


def test_what_is_not_there_is_not_found(registry: DockerRegistry, pushed: Manifest) -> None:
    with RegistryClient(registry.host) as client:
        for repository, tag in (("lab/m", "v2"), ("lab/none", "v1")):
            with pytest.raises(NotFound, match="pull model manifest: file does not exist"):
                client.manifest(repository, tag)
        assert client.blob_size("lab/m", Digest.of(b"none")) is None
        with pytest.raises(NotFound):
            client.blob("lab/m", Digest.of(b"none"), 100)
        assert client.referrers("lab/m", pushed.digest) is None


def test_blobs_are_read_whole_and_in_ranges(registry: DockerRegistry, pushed: Manifest) -> None:
    layer = pushed.layers[0]
    data = pattern(3000)
    with RegistryClient(registry.host) as client:
        assert client.blob_size("lab/m", layer.digest) == 3000
        assert client.blob("lab/m", layer.digest, 3000) == data
        body = client.open_blob("lab/m", layer.digest, 10, 20)
        assert (body.ranged, body.start, body.total) == (True, 10, 3000)
        assert (body.read(100), body.read(100)) == (data[10:20], b"")
        body.close()
        with pytest.raises(RegistryError, match="longer than 2999 bytes"):
            client.blob("lab/m", layer.digest, 2999)


def test_tags_are_listed(registry: DockerRegistry, pushed: Manifest) -> None:
    with RegistryClient(registry.host) as client:
        client.put_manifest("lab/m", "v2", pushed.raw, pushed.media_type)
        assert sorted(client.tags("lab/m")) == ["v1", "v2"]


def test_all_four_manifest_forms_are_stored_and_read(registry: DockerRegistry) -> None:
    with RegistryClient(registry.host) as client:
        empty = upload_bytes(client, "lab/m", b"{}")
        image = b'{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"%s","digest":"%s",'
        image += b'"size":2},"layers":[]}'
        config_type = MediaType.OCI_EMPTY.encode()
        child = image % (MediaType.OCI_MANIFEST.encode(), config_type, str(empty.digest).encode())
        digest = client.put_manifest("lab/m", str(Digest.of(child)), child, MediaType.OCI_MANIFEST)
        assert client.manifest("lab/m", str(digest)) == (child, MediaType.OCI_MANIFEST)
        for tag, media_type in (("i", MediaType.OCI_INDEX), ("l", MediaType.MANIFEST_LIST_V2)):
            index = b'{"schemaVersion":2,"mediaType":"%s","manifests":[]}' % media_type.encode()
            client.put_manifest("lab/m", tag, index, media_type)
            assert client.manifest("lab/m", tag) == (index, media_type)


def test_a_manifest_that_names_a_missing_blob_is_refused(
    registry: DockerRegistry, store: Store
) -> None:
    manifest = add_model(store, registry.name(), b"weights")
    with (
        RegistryClient(registry.host) as client,
        pytest.raises(RegistryError, match="push model manifest: 400: MANIFEST_BLOB_UNKNOWN"),
    ):
        client.put_manifest("lab/m", "v1", manifest.raw, manifest.media_type)


def test_a_manifest_over_four_mebibytes_is_refused() -> None:
    with (
        WebServer(lambda _request: Reply(body=b" " * (4 * 1024 * 1024 + 1))) as server,
        RegistryClient(server.host) as client,
        pytest.raises(RegistryError, match="longer than 4194304 bytes"),
    ):
        client.manifest("lab/m", "v1")


def test_a_manifest_that_is_not_the_digest_asked_for_is_refused() -> None:
    with WebServer(lambda _request: Reply(body=b"{}")) as server, RegistryClient(server.host) as c:
        with pytest.raises(DigestMismatch):
            c.manifest("lab/m", str(Digest.of(b"other")))
        assert c.manifest("lab/m", str(Digest.of(b"{}")))[0] == b"{}"


@pytest.mark.parametrize("announced", [str(Digest.of(b"other")), "sha256:short"])
def test_a_manifest_that_is_not_the_digest_announced_is_refused(announced: str) -> None:
    reply = Reply(body=b"{}", headers={"Docker-Content-Digest": announced})
    with (
        WebServer(lambda _request: reply) as server,
        RegistryClient(server.host) as client,
        pytest.raises(DigestMismatch),
    ):
        client.manifest("lab/m", "v1")


@pytest.mark.parametrize("header", ["sha512:" + "0" * 128, "nonsense"])
def test_a_digest_header_of_another_kind_is_no_reason_to_fail(header: str) -> None:
    reply = Reply(body=b"{}", headers={"Docker-Content-Digest": header})
    with WebServer(lambda _request: reply) as server, RegistryClient(server.host) as client:
        assert client.manifest("lab/m", "v1")[0] == b"{}"


def test_a_content_range_that_cannot_be_read_is_an_error() -> None:
    reply = Reply(206, b"xx", {"Content-Range": "items 0-1/2"})
    with (
        WebServer(lambda _request: reply) as server,
        RegistryClient(server.host) as client,
        pytest.raises(RegistryError, match="cannot read the Content-Range"),
    ):
        client.open_blob("lab/m", Digest.of(b"xx"), 0, 2)


def test_a_host_that_is_no_registry_answers_no_tags() -> None:
    with (
        WebServer(lambda _request: Reply(body=b"<html>")) as server,
        RegistryClient(server.host) as client,
        pytest.raises(RegistryError, match="no list of tags"),
    ):
        client.tags("lab/m")


def test_a_dead_registry_is_unreachable() -> None:
    port = free_port()
    with (
        RegistryClient(f"127.0.0.1:{port}") as client,
        pytest.raises(Unreachable, match=f"cannot reach 127.0.0.1:{port}: connection refused"),
    ):
        client.manifest("lab/m", "v1")


def test_a_name_that_says_http_needs_leave_for_another_host() -> None:
    name = ModelName.parse("http://registry.example.com/lab/m")
    with pytest.raises(RegistryError, match="insecure protocol http"):
        RegistryClient.for_name(name)
    RegistryClient.for_name(name, insecure=True).close()
    RegistryClient.for_name(ModelName.parse("http://localhost:1/lab/m")).close()


def test_tls_with_an_authority_of_ones_own(
    start_registry: StartRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, certificate, key = write_certificates(tmp_path)
    registry = start_registry(HTTP_TLS_CERTIFICATE=str(certificate), HTTP_TLS_KEY=str(key))
    with (
        RegistryClient(registry.host) as client,
        pytest.raises(RegistryError, match="is not trusted") as caught,
    ):
        client.ping()
    assert "MODELKIT_CA" in (caught.value.hint or "")
    for setting in ("MODELKIT_CA", "SSL_CERT_FILE"):
        with monkeypatch.context() as patch:
            patch.setenv(setting, str(authority))
            with RegistryClient(registry.host) as client:
                client.ping()


def test_models_travel_over_tls(
    start_registry: StartRegistry, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, certificate, key = write_certificates(tmp_path)
    registry = start_registry(HTTP_TLS_CERTIFICATE=str(certificate), HTTP_TLS_KEY=str(key))
    monkeypatch.setenv("MODELKIT_CA", str(authority))
    add_model(store, registry.name(), pattern(20 * MIB))
    push(registry.name(), store)
    other = Store(tmp_path / "other")

    def stop(progress: Progress) -> None:
        if progress.completed > MIB:
            raise Cancelled

    with pytest.raises(Cancelled):
        pull(registry.name(), other, report=stop)
    pull(registry.name(), other)
    assert other.check(registry.name()) == []


def test_tls_where_only_plain_http_is_spoken(registry: DockerRegistry) -> None:
    with (
        RegistryClient(registry.host) as client,
        pytest.raises(RegistryError, match="does not speak TLS") as caught,
    ):
        client.request("GET", f"https://{registry.host}/v2/", action="try")
    assert "--insecure" in (caught.value.hint or "")


def write_certificates(folder: Path) -> tuple[Path, Path, Path]:
    """An authority's certificate, and a certificate and key for 127.0.0.1 that it issued."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name, name = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in ("lab CA", "lab")
    )
    now = datetime.datetime.now(datetime.UTC)
    until = now + datetime.timedelta(days=2)

    def builder(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder(ca_name, subject, public, x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(until)
        )

    authority = (
        builder(ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        builder(name, key.public_key())
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    paths = folder / "ca.crt", folder / "server.crt", folder / "server.key"
    paths[0].write_bytes(authority.public_bytes(pem))
    paths[1].write_bytes(certificate.public_bytes(pem))
    paths[2].write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths
