"""The native API's operations, and the answers that no endpoint has a type of its own for."""

from typing import Any

import msgspec

from modelkit.serve.api.chat import ChatRequest, ChatResponse
from modelkit.serve.api.create import CreateRequest
from modelkit.serve.api.embed import EmbeddingRequest, EmbedRequest, EmbedResponse
from modelkit.serve.api.generate import GenerateRequest, GenerateResponse
from modelkit.serve.api.models import CopyRequest, NamedRequest
from modelkit.serve.api.rerank import RerankRequest, RerankResponse
from modelkit.serve.api.show import ShowRequest
from modelkit.serve.api.transfer import TransferRequest
from modelkit.serve.api.web import FetchRequest, SearchRequest
from modelkit.serve.openapi.operation import BODY, BYTES, MODEL, TEXT, Operation
from modelkit.serve.web.page import Page
from modelkit.serve.web.search import Results


class Version(msgspec.Struct, kw_only=True):
    """The release of Ollama whose API this is, and modelkit's own."""

    version: str
    modelkit: str


class Cloud(msgspec.Struct, kw_only=True):
    """Whether models of a cloud are off, and who said so."""

    disabled: bool
    source: str


class Status(msgspec.Struct, kw_only=True):
    """What of Ollama's cloud can be used."""

    cloud: Cloud


class Health(msgspec.Struct, kw_only=True):
    """The server answers."""

    status: str


class Details(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a model is."""

    parent_model: str = ""
    format: str = ""
    family: str = ""
    families: list[str] | None = None
    parameter_size: str = ""
    quantization_level: str = ""
    context_length: int = 0
    embedding_length: int = 0


class Tag(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A model in the store; `size` in bytes."""

    name: str
    model: str
    modified_at: str
    size: int
    digest: str
    details: Details
    capabilities: list[str] = []
    remote_model: str = ""
    remote_host: str = ""


class Tags(msgspec.Struct, kw_only=True):
    """The models in the store."""

    models: list[Tag]


class Loaded(msgspec.Struct, kw_only=True):
    """A model in memory; sizes in bytes."""

    name: str
    model: str
    size: int
    digest: str
    details: Details
    expires_at: str
    size_vram: int
    context_length: int


class Death(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Why a model's runner died."""

    name: str
    error: str
    deaths: int
    died_at: str
    retry_at: str = ""


class Processes(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The models in memory, and the runners that died."""

    models: list[Loaded]
    failures: list[Death] = []


class Shown(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Everything that is known of a model."""

    details: Details
    model_info: dict[str, Any]
    modified_at: str
    license: str = ""
    modelfile: str = ""
    parameters: str = ""
    template: str = ""
    system: str = ""
    renderer: str = ""
    parser: str = ""
    requires: str = ""
    remote_model: str = ""
    remote_host: str = ""
    messages: list[dict[str, str]] = []
    projector_info: dict[str, Any] = {}
    tensors: list[dict[str, Any]] = []
    capabilities: list[str] = []


class Step(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How far the work is, in bytes; `error` is the last line of work that failed."""

    status: str = ""
    digest: str = ""
    total: int = 0
    completed: int = 0
    error: str = ""
    hint: str = ""


class Success(msgspec.Struct, kw_only=True):
    """The work is done."""

    status: str


class Vector(msgspec.Struct, kw_only=True):
    """The embedding of one text."""

    embedding: list[float]


class User(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An account at Ollama's cloud."""

    plan: str
    id: str = ""
    email: str = ""
    name: str = ""
    bio: str = ""
    avatarurl: str = ""
    firstname: str = ""
    lastname: str = ""


class Recommendations(msgspec.Struct, kw_only=True):
    """Models worth a try."""

    recommendations: list[dict[str, Any]]


def _native(verb: str, rule: str, failures: tuple[int, ...] = (500,), **more: Any) -> Operation:
    return Operation(verb, rule, "native", failures=failures, **more)


_TRANSFER: dict[str, Any] = {"answer": Success, "line": Step}
_NAMED = ("model",)
_STORE = (*BODY, 404)
# What a search server refuses keeps its status.
_SEARCH = (*BODY, 401, 403, 404, 429, 502, 503, 504)
_FETCH = (*BODY, 403, 501, 502, 504)

OPERATIONS = (
    _native(
        "POST",
        "/api/generate",
        MODEL,
        body=GenerateRequest,
        required=_NAMED,
        answer=GenerateResponse,
        line=GenerateResponse,
    ),
    _native(
        "POST",
        "/api/chat",
        MODEL,
        body=ChatRequest,
        required=_NAMED,
        answer=ChatResponse,
        line=ChatResponse,
    ),
    _native("POST", "/api/embed", MODEL, body=EmbedRequest, required=_NAMED, answer=EmbedResponse),
    _native(
        "POST", "/api/embeddings", MODEL, body=EmbeddingRequest, required=_NAMED, answer=Vector
    ),
    _native(
        "POST",
        "/api/rerank",
        MODEL,
        body=RerankRequest,
        required=(*_NAMED, "query", "documents"),
        answer=RerankResponse,
    ),
    _native(
        "POST",
        "/v1/rerank",
        MODEL,
        body=RerankRequest,
        required=(*_NAMED, "query", "documents"),
        answer=RerankResponse,
    ),
    _native("GET", "/api/tags", answer=Tags),
    _native("HEAD", "/api/tags"),
    _native("GET", "/api/ps", answer=Processes),
    _native("POST", "/api/show", _STORE, body=ShowRequest, answer=Shown),
    _native("POST", "/api/copy", _STORE, body=CopyRequest, required=("source", "destination")),
    _native("DELETE", "/api/delete", _STORE, body=NamedRequest),
    _native("POST", "/api/create", (*_STORE, 403, 501), body=CreateRequest, **_TRANSFER),
    _native("POST", "/api/pull", (*_STORE, 401, 403), body=TransferRequest, **_TRANSFER),
    _native("POST", "/api/push", (*_STORE, 401, 403), body=TransferRequest, **_TRANSFER),
    _native("HEAD", "/api/blobs/<digest>", (400, 404, 500)),
    _native(
        "POST",
        "/api/blobs/<digest>",
        (400, 404, 408, 500),
        body=bytes,
        body_media=BYTES,
        successes=(200, 201),
    ),
    _native("POST", "/api/me", (401, 500, 503), answer=User),
    _native("POST", "/api/signout", (401, 500), answer=type(None)),
    _native("DELETE", "/api/user/keys/<key>", (401, 404, 500), answer=type(None)),
    *(
        _native("POST", rule, _SEARCH, body=SearchRequest, required=("query",), answer=Results)
        for rule in ("/api/web_search", "/api/experimental/web_search")
    ),
    *(
        _native("POST", rule, _FETCH, body=FetchRequest, required=("url",), answer=Page)
        for rule in ("/api/web_fetch", "/api/experimental/web_fetch")
    ),
    _native("GET", "/api/experimental/model-recommendations", answer=Recommendations),
    _native("GET", "/api/version", answer=Version),
    _native("HEAD", "/api/version"),
    _native("GET", "/api/status", answer=Status),
)

SERVER = (
    Operation("GET", "/", "server", answer=str, answer_media=(TEXT,)),
    Operation("HEAD", "/", "server"),
    Operation("GET", "/healthz", "server", answer=Health),
    Operation("HEAD", "/healthz", "server"),
    Operation("GET", "/readyz", "server", answer=Health, failures=(500, 503)),
    Operation("HEAD", "/readyz", "server", failures=(500, 503)),
    Operation(
        "GET", "/metrics", "server", answer=str, answer_media=(TEXT, "application/openmetrics-text")
    ),
    Operation("GET", "/openapi.json", "server", answer=dict[str, Any]),
    Operation("GET", "/docs", "server", answer=str, answer_media=("text/html",)),
)
