"""One module per architecture, named after `model_type` in config.json."""

import importlib
import pkgutil

from modelkit.convert.config import Config
from modelkit.convert.plan import Architecture
from modelkit.convert.shown import shown
from modelkit.errors import ConvertError


def supported() -> list[str]:
    """The model types that can be converted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def find(config: Config) -> Architecture:
    """The architecture for a config.json; ConvertError names the supported ones."""
    model_type = config.get("model_type")
    if model_type not in supported():
        raise ConvertError(
            f"unsupported architecture: model_type is {shown(model_type)}, config.json",
            hint=f"supported model types: {', '.join(supported())}",
        )
    module = importlib.import_module(f"{__name__}.{model_type}")
    architecture: Architecture = module.ARCHITECTURE
    return architecture
