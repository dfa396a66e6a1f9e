"""Models and services on other servers: where they are, who may be asked, and how."""
