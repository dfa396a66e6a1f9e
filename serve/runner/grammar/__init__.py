"""Structured output: what an answer may look like, enforced token by token with llguidance."""
