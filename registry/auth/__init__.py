"""Who we are to a registry: credentials, challenges, tokens."""
