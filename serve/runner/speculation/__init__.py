"""Speculative decoding: tokens guessed ahead of the text and verified by the model in one batch."""
