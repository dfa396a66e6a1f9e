"""Turning a conversation into the text a model was trained on."""

from modelkit.errors import TemplateError
from modelkit.templates.go.template import GoTemplate

__all__ = ["GoTemplate", "TemplateError"]
