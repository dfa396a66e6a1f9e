"""The web for models: searching it, and reading its pages."""
