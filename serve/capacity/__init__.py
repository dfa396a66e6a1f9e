"""What a model needs of the machine, and what the machine has: memory and processor cores."""
