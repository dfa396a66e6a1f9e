"""Digests: two spellings in, nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkit.digest import Digest
from modelkit.errors import InvalidDigest

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize("text", [f"sha256:{HEX}", f"sha256-{HEX}", f"sha256:{HEX.upper()}"])
def test_both_spellings_and_either_case_are_read(text: str) -> None:
    digest = Digest.parse(text)
    assert str(digest) == f"sha256:{HEX}"
    assert digest.filename == f"sha256-{HEX}"
    assert digest.short == HEX[:12]


@pytest.mark.parametrize(
    "text",
    ["", HEX, "sha256:zz", f"sha256:{HEX}0", f"sha256:{HEX[1:]}", f"sha512:{HEX}",
     f"sha256/{HEX}", f"sha256:{HEX}\n", f" sha256:{HEX}", "sha256:../../etc/passwd" + HEX[23:],
     "sha256:" + "٣" * 64],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidDigest):
        Digest.parse(text)


@given(st.binary(max_size=100))
def test_the_digest_of_bytes_parses_back(data: bytes) -> None:
    digest = Digest.of(data)
    assert Digest.parse(str(digest)) == Digest.parse(digest.filename) == digest
