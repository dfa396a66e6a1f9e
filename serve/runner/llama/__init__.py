"""The only door to llama.cpp in serve/: a thin typed wrapper over llama_cpp's low-level API.

The binding changes between releases, so every call to it is here; everything above is plain Python.
"""

from llama_cpp import __version__

ENGINE_VERSION: str = __version__
"""Of the binding, and so of the llama.cpp in it."""
