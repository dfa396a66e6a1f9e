"""Serving models: runner processes, scheduling, prompts and the HTTP API.

`create_app` is the application factory; it is imported on first use, for it needs Quart.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelkit.serve.app import create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:
    if name == "create_app":
        from modelkit.serve.app import create_app

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
