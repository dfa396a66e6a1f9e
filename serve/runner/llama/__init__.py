"""The only door to llama.cpp in serve/: a thin typed wrapper over llama_cpp's low-level API.

The binding changes between releases, so every call to it is here; everything above is plain Python.
"""


def engine_version() -> str:
    """Of the binding, and so of the llama.cpp in it."""
    from importlib.metadata import version

    return version("llama-cpp-python")
