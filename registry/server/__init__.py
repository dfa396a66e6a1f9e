"""An embedded OCI registry over the model store. Importing it imports Quart."""

from modelkit.registry.server.app import create_app

__all__ = ["create_app"]
