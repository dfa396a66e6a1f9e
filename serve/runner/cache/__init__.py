"""What the runner remembers of texts that it has read."""
