"""What the document says of one route beside what the route says itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from modelkit.serve.openapi.failures import AnthropicFailure, Failure, OpenaiFailure

JSON = "application/json"
NDJSON = "application/x-ndjson"
SSE = "text/event-stream"
BYTES = "application/octet-stream"
TEXT = "text/plain"

BODY = (400, 408, 413, 415, 500)
"""How a request with a JSON body can fail whatever it asks for."""
MODEL = (*BODY, 404, 501, 503)
"""How a request can fail that needs a model in memory."""
Api = Literal["native", "openai", "anthropic", "server"]
FAILURES: dict[Api, type] = {
    "native": Failure,
    "openai": OpenaiFailure,
    "anthropic": AnthropicFailure,
    "server": Failure,
}


@dataclass(frozen=True)
class Operation:
    """A verb of a route: msgspec types of its body and answers, and the statuses of failures.

    `answer` None is an answer without a body. `line` is what a stream consists of: the type of
    each line in NDJSON, or in server-sent events, where a frame's data is that type in JSON,
    or the text `end`.
    `required` are fields of the body that its type lets be absent, so that the endpoint can say
    what is missing in its API's words; `parts` the types of fields that are read in a second step.
    """

    verb: str
    rule: str
    api: Api
    body: Any = None
    answer: Any = None
    failures: tuple[int, ...] = (500,)
    successes: tuple[int, ...] = (200,)
    line: Any = None
    body_media: str = JSON
    answer_media: tuple[str, ...] = (JSON,)
    stream_media: str = NDJSON
    end: str = ""
    query: tuple[tuple[str, Any], ...] = ()
    required: tuple[str, ...] = ()
    parts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def types(self) -> tuple[Any, ...]:
        """Every type that the operation needs a schema of."""
        given = (self.body, self.answer, self.line, FAILURES[self.api])
        asked = (kind for _, kind in self.query)
        return (*(kind for kind in given if kind is not None), *asked, *self.parts.values())
