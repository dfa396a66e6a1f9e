"""The embedded registry: the OCI distribution API (1.1) over a model store."""

from collections.abc import Collection, Mapping
from pathlib import Path

from quart import Quart, Response, request
from werkzeug.exceptions import HTTPException

from modelkit.asgi.body import BoundedConnection, BoundedRequest
from modelkit.errors import ModelkitError
from modelkit.registry.server import blob_routes, manifest_routes, upload_routes
from modelkit.registry.server.access import Accounts
from modelkit.registry.server.answers import OCIError, from_error, json_answer
from modelkit.registry.server.body import drain
from modelkit.registry.server.guard import Guard
from modelkit.registry.server.uploads import Uploads
from modelkit.store import Store


class RegistryApp(Quart):
    """Quart, with request bodies that never pile up in memory."""

    request_class = BoundedRequest
    asgi_http_class = BoundedConnection


def create_app(
    store: Store,
    *,
    users: Mapping[str, str] | None = None,
    htpasswd: Path | None = None,
    readers: Collection[str] = (),
    anonymous_pull: bool = False,
    bearer: bool = False,
    hosts: Collection[str] = (),
) -> RegistryApp:
    """A registry over `store`, open to all unless accounts are given.

    `users` maps names to passwords; `htpasswd` is a file of bcrypt entries. `readers` may pull
    only, as may anybody with `anonymous_pull`. With `bearer`, clients get short-lived tokens from
    `/token` and Basic credentials still work. `hosts` are names beside localhost and addresses
    that a registry bound to loopback may be called by. Raises UsageError for a bad htpasswd file.
    """
    app = RegistryApp("modelkit.registry.server", static_folder=None)
    # Bodies and answers may be larger and slower than any limit; manifests are limited by route.
    app.config.update(MAX_CONTENT_LENGTH=None, BODY_TIMEOUT=None, RESPONSE_TIMEOUT=None)
    app.url_map.merge_slashes = False
    accounts = Accounts(users, htpasswd, readers) if users or htpasswd else None
    guard = Guard(accounts, anonymous_pull, bearer, hosts)
    app.extensions["modelkit.store"] = store
    app.extensions["modelkit.uploads"] = Uploads(store)
    for module in (upload_routes, blob_routes, manifest_routes):
        app.register_blueprint(module.routes)
    _add_base(app, guard)
    _add_errors(app)
    return app


def _add_base(app: RegistryApp, guard: Guard) -> None:
    @app.before_request
    async def check_access() -> None:
        if request.path != "/token":
            await guard.check((request.view_args or {}).get("repository"))

    @app.get("/token")
    async def token() -> Response:
        return await guard.issue_token()

    @app.get("/v2/")
    async def base() -> Response:
        return json_answer({})

    @app.after_request
    async def finish(response: Response) -> Response:
        if response.status_code >= 400:
            await drain(request.body)
        response.headers["Docker-Distribution-API-Version"] = "registry/2.0"
        return response


def _add_errors(app: RegistryApp) -> None:
    @app.errorhandler(OCIError)
    async def oci_error(error: OCIError) -> Response:
        return error.response()

    @app.errorhandler(ModelkitError)
    async def product_error(error: ModelkitError) -> Response:
        return from_error(error).response()

    @app.errorhandler(HTTPException)
    async def http_error(error: HTTPException) -> Response:
        code = "UNSUPPORTED" if error.code in (404, 405) else "UNKNOWN"
        return OCIError(error.code or 500, code, error.name).response()
