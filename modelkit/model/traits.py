"""What a GGUF header tells: the file's role in a manifest, its size and type for people."""

from modelkit.gguf import GGUFHeader
from modelkit.manifest import MediaType
from modelkit.quantize.types import file_type_name


def layer_type(header: GGUFHeader) -> str:
    """The media type of a GGUF file's layer: model, adapter (LoRA) or projector (vision, audio).

    The rules are Ollama's: `general.type` decides; without it a file with an encoder and no
    language model is a projector.
    """
    kind = header.metadata.get("general.type")
    if kind == "adapter":
        return MediaType.ADAPTER
    if kind in ("projector", "mmproj") or _is_encoder(header):
        return MediaType.PROJECTOR
    return MediaType.MODEL


def _is_encoder(header: GGUFHeader) -> bool:
    architecture, metadata = header.architecture, header.metadata
    if f"{architecture}.block_count" in metadata:
        return False
    encoders = ("clip.has_vision_encoder", "clip.has_audio_encoder")
    if architecture == "clip" and any(metadata.get(key) is True for key in encoders):
        return True
    return f"{architecture}.vision.block_count" in metadata


def file_type(header: GGUFHeader) -> str:
    """The quantization's name, `unknown` when the file does not say."""
    return file_type_name(header.metadata.get("general.file_type"))


def parameter_size(count: int) -> str:
    """A number of parameters for people: 7B, 7.6B, 334.09M, 125M, 12K, 640."""
    for unit, letter, digits in ((10**9, "B", 1), (10**6, "M", 2), (10**3, "K", 0)):
        if count >= unit:
            whole = digits == 0 or count % unit == 0
            return f"{count / unit:.{0 if whole else digits}f}{letter}"
    return str(count)
