"""Build, sign, ship and serve language models.

The names below are imported when first used, so that `import modelkit` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from modelkit.version import __version__

if TYPE_CHECKING:
    from modelkit.compiler.build import build
    from modelkit.digest import Digest
    from modelkit.manifest import Manifest
    from modelkit.modelfile import Modelfile
    from modelkit.names import ModelName
    from modelkit.store import Store

__all__ = ["Digest", "Manifest", "ModelName", "Modelfile", "Store", "__version__", "build"]

_HOMES = {
    "Digest": "modelkit.digest",
    "Manifest": "modelkit.manifest",
    "ModelName": "modelkit.names",
    "Modelfile": "modelkit.modelfile",
    "Store": "modelkit.store",
    "build": "modelkit.compiler.build",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'modelkit' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
