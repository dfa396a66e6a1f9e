"""A model in the store, as people and APIs look at it."""

from modelkit.model.model import Model

__all__ = ["Model"]
