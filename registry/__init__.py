"""Registries: the OCI client and server, signatures and the trust policy."""
