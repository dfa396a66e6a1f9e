"""Build, sign, ship and serve language models."""
