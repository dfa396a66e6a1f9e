"""Anthropic's Messages API over the models of the store."""

from modelkit.serve.anthropic.messages import blueprint

__all__ = ["blueprint"]
