"""What the server can be asked, as an OpenAPI 3.1 document and as a page for people."""

from modelkit.serve.openapi.routes import blueprint

__all__ = ["blueprint"]
