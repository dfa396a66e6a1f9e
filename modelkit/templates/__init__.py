"""Turning a conversation into the text a model was trained on."""

from modelkit.errors import ModelkitError


class TemplateError(ModelkitError):
    """A template that does not compile, fails, or does too much while rendering."""
