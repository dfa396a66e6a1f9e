"""Models on the move: pull, push, and the blobs they carry."""

from modelkit.registry.transfer.models import pull, push

__all__ = ["pull", "push"]
