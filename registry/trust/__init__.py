"""Keys, signatures and the policy that decides which models to trust."""
