"""The trust policy: which models may be pulled or loaded, by whose signature.

The file is a containers `policy.json` (containers-policy.json(5)), so skopeo and podman can
enforce the same one. Models fall under its `docker` transport.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelkit.errors import Refused
from modelkit.names import ModelName
from modelkit.registry.trust.claims import SignatureSource, unique_keys
from modelkit.registry.trust.requirements import (
    AcceptAnything,
    Invalid,
    Requirement,
    allow_keys,
    parse_requirements,
)
from modelkit.registry.trust.signing import Signature
from modelkit.settings import home_dir, setting

MAX_POLICY_SIZE = 1024 * 1024
_SYSTEM_POLICY = Path("/etc/containers/policy.json")


@dataclass(frozen=True)
class Verdict:
    """Why a model was accepted: the scope that applied and the signatures it asked for."""

    scope: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True)
class Policy:
    """Requirements by scope; the most specific scope that fits a model applies alone."""

    source: str
    default_requirements: tuple[Requirement, ...]
    scopes: Mapping[str, tuple[Requirement, ...]]

    @classmethod
    def accepting_anything(cls) -> "Policy":
        """What applies when there is no policy file."""
        return cls("no policy file", (AcceptAnything(),), {})

    @classmethod
    def load(cls, path: Path) -> "Policy":
        """Read a policy file; raises Refused when it cannot be read or understood."""
        try:
            with path.open("rb") as file:
                raw = file.read(MAX_POLICY_SIZE + 1)
            if len(raw) > MAX_POLICY_SIZE:
                raise Invalid(f"more than {MAX_POLICY_SIZE} bytes")
            return cls._parse(raw, path)
        except OSError as error:
            raise Refused(
                f"cannot read the trust policy {path}: {error.strerror}",
                hint="nothing is accepted until it can be read",
            ) from error
        except Invalid as error:
            raise Refused(
                f"the trust policy {path} is not valid: {error}",
                hint="nothing is accepted until it is mended; see containers-policy.json(5)",
            ) from None

    @classmethod
    def default(cls) -> "Policy":
        """The policy in force here.

        MODELKIT_POLICY names the file, or the first of ~/.modelkit/policy.json,
        ~/.config/containers/policy.json and /etc/containers/policy.json that exists counts.
        Without any, everything is accepted. Raises Refused as `load`.
        """
        named = setting("POLICY")
        if named:
            return cls.load(Path(named).expanduser())
        personal = Path.home() / ".config" / "containers" / "policy.json"
        for path in (home_dir() / "policy.json", personal, _SYSTEM_POLICY):
            if os.path.lexists(path):  # unreadable or dangling is an error, not "no policy"
                return cls.load(path)
        return cls.accepting_anything()

    @classmethod
    def _parse(cls, raw: bytes, path: Path) -> "Policy":
        try:
            value = json.loads(raw, object_pairs_hook=unique_keys)
        except (ValueError, RecursionError) as error:
            raise Invalid(f"not JSON: {error}") from None
        if not isinstance(value, dict):
            raise Invalid("not a JSON object")
        allow_keys(value, ("default", "transports"))
        default = parse_requirements(value.get("default"), path.parent)
        transports = value.get("transports", {})
        if not isinstance(transports, dict):
            raise Invalid("transports must be an object")
        parsed = {
            transport: _parse_scopes(scopes, path.parent)
            for transport, scopes in transports.items()
        }
        return cls(str(path), default, parsed.get("docker", {}))

    def check(self, name: ModelName, manifest_raw: bytes, source: SignatureSource) -> Verdict:
        """Accept the model with exactly these manifest bytes, or raise Refused.

        `source` is where its signatures are: the registry at a pull, the store at a load. Errors
        in reaching the source pass through.
        """
        scope, requirements = self._requirements(name)
        signatures: list[Signature] = []
        for requirement in requirements:
            try:
                signatures += requirement.check(name, manifest_raw, source)
            except Refused as refusal:
                where = f"scope {scope!r}" if scope else "its default"
                raise Refused(
                    f"{name} is refused by the trust policy: {refusal.message}",
                    hint=refusal.hint or f"{self.source}, {where}, decides",
                ) from None
        return Verdict(scope, tuple(signatures))

    def _requirements(self, name: ModelName) -> tuple[str, tuple[Requirement, ...]]:
        for scope in _scopes_of(name):
            if scope in self.scopes:
                return scope, self.scopes[scope]
        return "", self.default_requirements


def _scopes_of(name: ModelName) -> Iterator[str]:
    """Every scope a model falls under, the most specific first."""
    full = name.full.lower()
    host = name.host.lower()
    yield full
    yield f"{host}/{name.repository.lower()}"
    yield f"{host}/{name.namespace.lower()}"
    yield host
    domain = host.partition(":")[0]
    while "." in domain:
        domain = domain.partition(".")[2]
        yield f"*.{domain}"
    yield ""


def _parse_scopes(value: object, folder: Path) -> dict[str, tuple[Requirement, ...]]:
    if not isinstance(value, dict):
        raise Invalid("a transport must be an object of scopes")
    scopes: dict[str, tuple[Requirement, ...]] = {}
    for scope, requirements in value.items():
        if "://" in scope or (scope.endswith("/") and scope != "/"):
            raise Invalid(f"{scope!r} is not a scope: write host[:port][/namespace[/model[:tag]]]")
        if scope.lower() in scopes:
            raise Invalid(f"scope {scope!r} is given twice")
        scopes[scope.lower()] = parse_requirements(requirements, folder)
    return scopes
