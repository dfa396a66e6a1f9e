"""Ollama's HTTP API, one file per group of endpoints: translation only."""
