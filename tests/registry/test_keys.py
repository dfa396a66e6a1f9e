"""Keys: made safely, read strictly, understood by openssl and ssh-keygen."""

import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from modelkit.errors import NotFound, UsageError
from modelkit.registry.trust.keys import (
    PublicKey,
    generate,
    generate_openssh,
    load_private,
    load_public,
)


def openssl(*arguments: str) -> bytes:
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True).stdout


def test_a_new_key_pair_is_private_and_belongs_together(tmp_path: Path) -> None:
    public = generate(tmp_path / "keys" / "k.pem")
    assert (tmp_path / "keys" / "k.pem").stat().st_mode & 0o777 == 0o600
    assert load_private(tmp_path / "keys" / "k.pem").public == public
    assert load_public(tmp_path / "keys" / "k.pem.pub") == public


def test_the_private_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        generate(tmp_path / "k.pem")
    finally:
        os.umask(before)
    assert (tmp_path / "k.pem").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("existing", ["k.pem", "k.pem.pub"])
def test_an_existing_file_is_never_overwritten(tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).write_text("mine")
    with pytest.raises(UsageError, match="already exists"):
        generate(tmp_path / "k.pem")
    assert (tmp_path / existing).read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == [existing]


def test_a_dangling_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "k.pem").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError):
        generate(tmp_path / "k.pem")
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write the key"):
        generate(tmp_path / "file" / "k.pem")


def test_openssl_reads_the_pair_and_agrees_on_the_public_key(tmp_path: Path) -> None:
    generate(tmp_path / "k.pem")
    derived = openssl("pkey", "-in", str(tmp_path / "k.pem"), "-pubout")
    assert derived == (tmp_path / "k.pem.pub").read_bytes()


def test_keys_made_by_openssl_are_accepted(tmp_path: Path) -> None:
    openssl("genpkey", "-algorithm", "ed25519", "-out", str(tmp_path / "k.pem"))
    key = load_private(tmp_path / "k.pem")
    assert key.public.verifies(key.sign(b"message"), b"message")


def test_the_fingerprint_is_the_sha256_of_the_spki_der(tmp_path: Path) -> None:
    key = generate(tmp_path / "k.pem")
    der = openssl("pkey", "-pubin", "-in", str(tmp_path / "k.pem.pub"), "-outform", "DER")
    (tmp_path / "der").write_bytes(der)
    expected = openssl("dgst", "-sha256", "-r", str(tmp_path / "der")).split()[0].decode()
    assert key.fingerprint == f"sha256:{expected}"
    raw = openssl("dgst", "-sha256", "-binary", str(tmp_path / "der"))
    (tmp_path / "raw").write_bytes(raw)
    assert key.hint.encode() == openssl("base64", "-A", "-in", str(tmp_path / "raw"))


def test_a_locked_key_opens_with_its_passphrase_only(tmp_path: Path) -> None:
    public = generate(tmp_path / "k.pem", b"correct horse")
    assert b"ENCRYPTED" in (tmp_path / "k.pem").read_bytes()
    assert load_private(tmp_path / "k.pem", b"correct horse").public == public
    with pytest.raises(UsageError, match="locked") as missing:
        load_private(tmp_path / "k.pem")
    assert missing.value.hint == "give its passphrase"
    with pytest.raises(UsageError, match="cannot read a private key"):
        load_private(tmp_path / "k.pem", b"wrong")


def test_a_passphrase_for_an_open_key_is_an_error(tmp_path: Path) -> None:
    generate(tmp_path / "k.pem")
    with pytest.raises(UsageError, match="not locked"):
        load_private(tmp_path / "k.pem", b"anything")


def test_the_openssh_pair_is_what_ssh_keygen_expects(tmp_path: Path) -> None:
    public = generate_openssh(tmp_path / "id_ed25519")
    assert (tmp_path / "id_ed25519").stat().st_mode & 0o777 == 0o600
    derived = subprocess.run(
        ["ssh-keygen", "-y", "-f", tmp_path / "id_ed25519"], check=True, capture_output=True
    ).stdout
    line = (tmp_path / "id_ed25519.pub").read_bytes()
    assert line.split()[:2] == derived.split()[:2]
    assert load_public(tmp_path / "id_ed25519.pub") == public
    assert load_private(tmp_path / "id_ed25519").public == public


@pytest.mark.parametrize("passphrase", ["", "secret"])
def test_keys_made_by_ssh_keygen_are_accepted(tmp_path: Path, passphrase: str) -> None:
    path = tmp_path / "id"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "me@here", "-f", path],
        check=True,
    )
    key = load_private(path, passphrase.encode() or None)
    assert load_public(tmp_path / "id.pub") == key.public
    if passphrase:
        with pytest.raises(UsageError, match="locked"):
            load_private(path)


def test_an_ecdsa_p256_key_verifies_but_does_not_sign(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    (tmp_path / "k.pem").write_bytes(pem)
    with pytest.raises(UsageError, match="unsupported key type"):
        load_private(tmp_path / "k.pem")
    (tmp_path / "message").write_bytes(b"message")
    signature = openssl(
        "dgst", "-sha256", "-sign", str(tmp_path / "k.pem"), str(tmp_path / "message")
    )
    public = PublicKey.parse(openssl("pkey", "-in", str(tmp_path / "k.pem"), "-pubout"))
    assert public.verifies(signature, b"message")
    assert not public.verifies(signature, b"massage")
    assert not public.verifies(b"", b"message")


def public_pem(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> bytes:
    return key.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)


def test_other_key_types_are_refused() -> None:
    for key in (
        ec.generate_private_key(ec.SECP384R1()).public_key(),
        rsa.generate_private_key(65537, 2048).public_key(),
    ):
        with pytest.raises(UsageError, match="unsupported key type"):
            PublicKey.parse(public_pem(key))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a key",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        b"ssh-ed25519 AAAA",
        b"ssh-dss AAAAB3NzaC1kc3M=",
        b"-----BEGIN PUBLIC KEY-----" * 10_000,
    ],
)
def test_what_is_no_public_key_is_one_line(data: bytes) -> None:
    with pytest.raises(UsageError) as error:
        PublicKey.parse(data, "some file")
    assert "some file" in error.value.message
    assert "\n" not in error.value.message


def test_a_private_key_is_no_public_key(tmp_path: Path) -> None:
    generate(tmp_path / "k.pem")
    with pytest.raises(UsageError, match="not a public key"):
        load_public(tmp_path / "k.pem")
    with pytest.raises(UsageError, match="cannot read a private key"):
        load_private(tmp_path / "k.pem.pub")


def test_a_missing_key_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no key at"):
        load_private(tmp_path / "k.pem")
    with pytest.raises(UsageError, match="cannot read the key"):
        load_public(tmp_path)


def test_the_signature_is_pure_ed25519(tmp_path: Path) -> None:
    """RFC 8032, section 7.1, test 2."""
    secret = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    key = ed25519.Ed25519PrivateKey.from_private_bytes(secret)
    pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    (tmp_path / "k.pem").write_bytes(pem)
    assert load_private(tmp_path / "k.pem").sign(b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


def test_the_secret_is_in_no_representation(tmp_path: Path) -> None:
    generate(tmp_path / "k.pem")
    assert repr(load_private(tmp_path / "k.pem")) == "PrivateKey()"
