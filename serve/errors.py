"""Failures of serving that are not the engine's."""

from modelkit.errors import ModelkitError


class NotSupported(ModelkitError):
    """A valid request for something this version cannot do; the text names it."""

    def __init__(self, what: str, hint: str | None = None) -> None:
        super().__init__(f"{what} is not supported yet", hint)
