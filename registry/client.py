"""The distribution API of one registry: manifests, blobs, tags, referrers."""

import functools
import json
from collections.abc import Container, Mapping
from types import TracebackType
from typing import Self
from urllib.parse import quote, urljoin, urlsplit

from urllib3 import BaseHTTPResponse

from modelkit.digest import Digest
from modelkit.errors import DigestMismatch, NotFound, RegistryError, Unreachable
from modelkit.manifest import MAX_MANIFEST_SIZE, MediaType
from modelkit.names import ModelName
from modelkit.registry.auth.authorizer import Authorizer, denied
from modelkit.registry.auth.credentials import Credentials
from modelkit.registry.http.answer import failure, read_body
from modelkit.registry.http.body import BlobBody
from modelkit.registry.http.transport import (
    PATIENCE_SECONDS,
    Body,
    Transport,
    is_loopback,
    origin,
)

ACCEPT = ", ".join(
    (
        MediaType.MANIFEST_V2,
        MediaType.OCI_MANIFEST,
        MediaType.OCI_INDEX,
        MediaType.MANIFEST_LIST_V2,
    )
)
_API_HOSTS = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
_SIGN_IN_TRIES = 3
_LIST_LIMIT = 8 * 1024 * 1024


class RegistryClient:
    """One registry. Repositories are given as `namespace/model`, blobs by digest.

    https, except for loopback hosts that speak plain http, and for any host when `insecure`.
    Credentials come from docker's configuration unless given. Safe to share between threads.
    """

    def __init__(
        self, host: str, *, insecure: bool = False, credentials: Credentials | None = None
    ) -> None:
        self.host = host
        self._netloc = _API_HOSTS.get(host.lower(), host)
        self._insecure = insecure
        self._credentials = credentials
        self._transport = Transport(self._netloc, insecure=insecure)

    @classmethod
    def for_name(cls, name: ModelName, *, insecure: bool = False) -> Self:
        """The client for a model's registry; raises RegistryError for `http://` without leave."""
        if name.scheme == "http" and not insecure and not is_loopback(hostname(name.host)):
            raise RegistryError(
                f"insecure protocol http: {name.host}",
                hint="use https, or allow plain http with --insecure",
            )
        return cls(name.host, insecure=insecure)

    def close(self) -> None:
        """Close the idle connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def ping(self) -> None:
        """Sign in; raises Unreachable, AuthError, or RegistryError when this is no registry."""
        self.request("GET", "/v2/", action=f"sign in to {self.host}").release_conn()

    def manifest(self, repository: str, reference: str) -> tuple[bytes, str]:
        """A manifest's exact bytes and media type, by tag or by digest.

        Raises NotFound, DigestMismatch when the bytes are not the digest asked for or announced,
        RegistryError when longer than 4 MiB.
        """
        path = f"/v2/{quote(repository)}/manifests/{quote(reference, safe=':')}"
        headers = {"Accept": ACCEPT}
        response = self.request(
            "GET", path, action="pull model manifest", ok=(200, 404), headers=headers
        )
        if response.status == 404:
            response.close()
            raise NotFound(
                "pull model manifest: file does not exist",
                hint=f"{self.host} has no {repository}:{reference}; check the name and the tag",
            )
        raw = read_body(response, MAX_MANIFEST_SIZE, f"{self.host}{path}")
        announced = response.headers.get("Docker-Content-Digest", "")
        actual = Digest.of(raw)
        for expected in (reference, announced):
            if expected.startswith("sha256:") and expected.lower() != str(actual):
                raise DigestMismatch(expected, actual)
        return raw, response.headers.get("Content-Type", "")

    def put_manifest(self, repository: str, reference: str, raw: bytes, media_type: str) -> Digest:
        """Store a manifest's exact bytes under a tag or its digest; returns the digest."""
        self.request(
            "PUT",
            f"/v2/{quote(repository)}/manifests/{quote(reference, safe=':')}",
            action="push model manifest",
            ok=range(200, 300),
            headers={"Content-Type": media_type},
            body=raw,
        ).close()
        return Digest.of(raw)

    def blob_size(self, repository: str, digest: Digest) -> int | None:
        """The blob's size in bytes on the registry; None when it has none."""
        response = self.request(
            "HEAD", blob_url(repository, digest), action=f"find blob {digest.short}", ok=(200, 404)
        )
        response.release_conn()
        if response.status == 404:
            return None
        text = response.headers.get("Content-Length", "")
        return int(text) if text.isdecimal() else 0

    def blob(self, repository: str, digest: Digest, limit: int) -> bytes:
        """A small blob's checked bytes; raises NotFound, DigestMismatch, RegistryError."""
        url = blob_url(repository, digest)
        response = self.request("GET", url, action=f"pull blob {digest.short}", ok=(200, 404))
        if response.status == 404:
            response.close()
            raise NotFound(f"{self.host} has no blob {digest} in {repository}")
        data = read_body(response, limit, f"{self.host}{url}")
        if Digest.of(data) != digest:
            raise DigestMismatch(digest, Digest.of(data))
        return data

    def open_blob(self, repository: str, digest: Digest, start: int, stop: int) -> BlobBody:
        """Bytes `start` to `stop` (exclusive) of a blob, as a stream.

        A server without ranges answers with the whole blob: see `ranged` of the answer.
        """
        response = self.request(
            "GET",
            blob_url(repository, digest),
            action=f"pull blob {digest.short}",
            ok=(200, 206),
            headers={"Range": f"bytes={start}-{stop - 1}"},
        )
        return BlobBody(response, self._url(blob_url(repository, digest)))

    def tags(self, repository: str) -> list[str]:
        """The repository's tags; the first page of them where a registry pages."""
        path = f"/v2/{quote(repository)}/tags/list"
        response = self.request("GET", path, action=f"list tags of {repository}")
        try:
            tags = json.loads(read_body(response, _LIST_LIMIT, path))["tags"] or []
            return [str(tag) for tag in tags]
        except (ValueError, KeyError, TypeError) as error:
            raise RegistryError(f"{self.host} answered no list of tags") from error

    def referrers(self, repository: str, digest: Digest) -> bytes | None:
        """The index of manifests that refer to this one; None where there is no such API."""
        path = f"/v2/{quote(repository)}/referrers/{digest}"
        response = self.request(
            "GET",
            path,
            action=f"find referrers of {digest.short}",
            ok=(200, 400, 404, 405),
            headers={"Accept": MediaType.OCI_INDEX},
        )
        if response.status != 200 or MediaType.OCI_INDEX not in response.headers.get(
            "Content-Type", ""
        ):
            response.close()
            return None
        return read_body(response, MAX_MANIFEST_SIZE, f"{self.host}{path}")

    def request(
        self,
        method: str,
        url: str,
        *,
        action: str,
        ok: Container[int] = (200,),
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        length: int | None = None,
        retry: bool = True,
        patience: float = PATIENCE_SECONDS,
    ) -> BaseHTTPResponse:
        """One signed-in request to a path of the API or to a URL it gave out.

        Any status not in `ok` raises RegistryError (AuthError for 401), whose text begins with
        `action`. The answer's body is unread.
        """
        full = self._url(url)
        for _ in range(_SIGN_IN_TRIES):
            used = self._authorizer.header(full)
            response = self._transport.send(
                method,
                full,
                headers={**(headers or {}), **({"Authorization": used} if used else {})},
                body=body,
                length=length,
                retry=retry,
                patience=patience,
            )
            if response.status != 401 or origin(full) != origin(self._base):
                break
            challenges = response.headers.getlist("WWW-Authenticate")
            response.close()
            self._authorizer.renew(challenges, used)
        if response.status in ok:
            return response
        if response.status == 401:
            response.close()
            raise denied(self.host, self._credentials)
        raise failure(response, action)

    def _url(self, url: str) -> str:
        return urljoin(self._base, url)

    @functools.cached_property
    def _authorizer(self) -> Authorizer:
        return Authorizer(self._base, self._transport, self._credentials)

    @functools.cached_property
    def _base(self) -> str:
        plain, encrypted = f"http://{self._netloc}", f"https://{self._netloc}"
        if self._insecure:
            return plain
        if not is_loopback(hostname(self._netloc)):
            return encrypted
        return plain if self._speaks(plain) or not self._speaks(encrypted) else encrypted

    def _speaks(self, base: str) -> bool:
        """Whether the host answers sensibly there; asked only of this machine, without secrets."""
        try:
            response = self._transport.send("GET", f"{base}/v2/", retry=False, patience=5.0)
        except Unreachable:
            # A TLS server may drop a plain request; one that nobody listens on drops both.
            return False
        except RegistryError:
            return base.startswith("https")  # TLS it is, though the certificate is not trusted
        response.close()
        return response.status != 400


def blob_url(repository: str, digest: Digest) -> str:
    """The path of a blob."""
    return f"/v2/{quote(repository)}/blobs/{digest}"


def hostname(netloc: str) -> str:
    """The host name without its port."""
    return urlsplit(f"//{netloc}").hostname or ""
