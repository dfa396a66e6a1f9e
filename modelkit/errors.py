"""Every failure a user can meet, as one tree.

ModelkitError                 exit 1   something failed
├── UsageError                exit 2   a bad argument
│   ├── InvalidName                    not a model name
│   └── InvalidDigest                  not a sha256 digest
├── NotFound                  exit 3
│   ├── ModelNotFound                  no such model in the store
│   └── BlobNotFound                   no such blob in the store
├── Refused                   exit 4   the trust policy says no
├── Cancelled                 exit 130 the user stopped it
├── ModelfileError                     a Modelfile that does not parse
├── TemplateError                      a prompt template that does not parse or render
├── GGUFError                          a damaged or hostile GGUF file
├── ConvertError                       a checkpoint that cannot be converted
├── QuantizeError                      llama.cpp refused to quantize
├── ManifestError                      a damaged or hostile manifest
├── SignatureError                     a signature that does not verify
├── StoreError                         the model folder cannot be read or written
│   └── DigestMismatch                 bytes that are not what their digest says
├── RegistryError                      a registry said no
│   ├── AuthError                      wrong or missing credentials
│   └── Unreachable                    no answer at all
└── EngineError                        llama.cpp or a runner failed
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal


class ModelkitError(Exception):
    """One line that says what and where; `hint` says what to do next."""

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ModelkitError):
    """The caller asked for something that makes no sense."""

    exit_code = 2


class InvalidName(UsageError):
    """A string that is not a model name."""


class InvalidDigest(UsageError):
    """A string that is not a sha256 digest."""


class NotFound(ModelkitError):
    """The thing asked for is not there."""

    exit_code = 3


class ModelNotFound(NotFound):
    """No model of this name in the store; `name` is the name as the user wrote it."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"model '{name}' not found",
            hint=f"see `modelkit list`, or get it with `modelkit pull {name}`",
        )
        self.name = name


class BlobNotFound(NotFound):
    """No blob of this digest in the store."""

    def __init__(self, digest: object) -> None:
        super().__init__(f"blob {digest} is not in the store", hint="pull or build the model again")


class Refused(ModelkitError):
    """The trust policy does not accept this model."""

    exit_code = 4


class Cancelled(ModelkitError):
    """The user stopped the work."""

    exit_code = 130

    def __init__(self, message: str = "cancelled") -> None:
        super().__init__(message)


class ModelfileError(ModelkitError):
    """A Modelfile that does not parse; `line` and `column` count from 1.

    `message` is the reference implementation's own text, so that tools matching it keep working.
    """

    def __init__(
        self,
        message: str,
        *,
        line: int,
        column: int,
        filename: str = "Modelfile",
        source_line: str = "",
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint)
        self.line = line
        self.column = column
        self.filename = filename
        self.source_line = source_line


class TemplateError(ModelkitError):
    """A template that does not compile, fails, or does too much while rendering.

    `stage` is "parse" or "execute"; `line` and `column` count from 1, 0 where no place is known.
    """

    def __init__(
        self,
        message: str,
        *,
        stage: Literal["parse", "execute"] = "execute",
        line: int = 0,
        column: int = 0,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint)
        self.stage = stage
        self.line = line
        self.column = column


class GGUFError(ModelkitError):
    """A GGUF file that is damaged, truncated or hostile."""


class ConvertError(ModelkitError):
    """A checkpoint that cannot be converted."""


class QuantizeError(ModelkitError):
    """llama.cpp could not quantize a file."""


class ManifestError(ModelkitError):
    """A manifest or config that is damaged or hostile."""


class SignatureError(ModelkitError):
    """A signature that does not verify."""


class StoreError(ModelkitError):
    """The model folder cannot be read or written."""


class DigestMismatch(StoreError):
    """Bytes that are not what their digest says."""

    def __init__(self, expected: object, actual: object) -> None:
        super().__init__(
            f"digest mismatch: want {expected}, got {actual}",
            hint="the bytes were damaged or replaced; fetch them again",
        )


class RegistryError(ModelkitError):
    """A registry answered with an error; `status` is its HTTP status, if there was one."""

    def __init__(self, message: str, hint: str | None = None, status: int | None = None) -> None:
        super().__init__(message, hint)
        self.status = status


class AuthError(RegistryError):
    """The registry wants other credentials."""


class Unreachable(RegistryError):
    """The registry did not answer."""


class EngineError(ModelkitError):
    """llama.cpp or the process that runs it failed."""


_STORE_HINTS = {
    errno.ENOSPC: "free some space, or set MODELKIT_MODELS to a larger disk",
    errno.EDQUOT: "free some space, or set MODELKIT_MODELS to a larger disk",
    errno.EACCES: "check who owns the folder, or set MODELKIT_MODELS to one you can write",
    errno.EPERM: "check who owns the folder, or set MODELKIT_MODELS to one you can write",
    errno.EROFS: "the disk is read-only; set MODELKIT_MODELS to a folder you can write",
}


@contextmanager
def store_errors(action: str, path: Path) -> Iterator[None]:
    """Turn an OSError inside the block into a StoreError that names the action and the path."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        hint = _STORE_HINTS.get(error.errno or 0)
        raise StoreError(f"cannot {action} {path}: {reason}", hint=hint) from error
