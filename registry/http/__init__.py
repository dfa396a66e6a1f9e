"""HTTP with one registry: connections, retries, redirects, answers."""
