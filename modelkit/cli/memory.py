"""What `modelkit show --memory` prints: how much memory a model takes, before it is loaded."""

from typing import Any

import click

from modelkit.cli.backend import names_server
from modelkit.cli.format import human_bytes
from modelkit.errors import UsageError
from modelkit.names import ModelName
from modelkit.store import Store


def memory_of(
    ctx: click.Context, name: ModelName, num_ctx: int | None, num_parallel: int | None
) -> dict[str, Any]:
    """The estimate in bytes, and the context it holds for; raises ModelNotFound, GGUFError.

    What is None comes from the model's parameters, the environment or the defaults, as in a server.
    """
    from modelkit.model import Model
    from modelkit.serve.capacity.machine import available_memory
    from modelkit.serve.capacity.memory import Shape, estimate
    from modelkit.serve.loading import Loading, default_load_options

    if names_server(ctx):
        raise UsageError(
            "--memory reads the model's files, which the server has",
            hint="run it on the server's machine without --host and MODELKIT_HOST",
        )
    model = Model.open(Store.default(), name)
    known = ("num_ctx", "num_batch")
    given = {key: value for key, value in model.parameters.items() if key in known}
    given |= {"num_ctx": num_ctx} if num_ctx else {}
    given |= {"num_parallel": num_parallel} if num_parallel else {}
    options = default_load_options(**given)
    return {
        "num_ctx": Shape.read(model.gguf_path).num_ctx(options),
        "num_parallel": options.num_parallel,
        "kv_cache_type": options.kv_cache_type,
        **estimate(Loading(model, options).files, options).parts(),
        "available": available_memory(),
    }


def memory_rows(memory: dict[str, Any]) -> list[tuple[str, str]]:
    """The estimate as rows of a table."""
    context = "{num_parallel} x {num_ctx} tokens, {kv_cache_type}".format(**memory)
    parts = ("weights", "cache", "compute", "prefixes", "runtime")
    rows = [(key, human_bytes(memory[key])) for key in parts]
    rows[1] = ("cache", f"{rows[1][1]} ({context})")
    free = memory["available"]
    return [
        *rows,
        ("total", human_bytes(memory["total"])),
        ("available", "unknown" if free is None else human_bytes(free)),
    ]
