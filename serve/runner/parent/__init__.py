"""What the server has of its runners: their processes, and how to talk to them."""
