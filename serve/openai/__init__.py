"""The OpenAI-compatible API under /v1: what its official client sends is honoured or refused."""
