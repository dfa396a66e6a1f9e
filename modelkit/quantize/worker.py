"""The child process that calls llama.cpp: `python -m modelkit.quantize.worker`.

llama.cpp can crash, cannot be interrupted and knows no progress callback; here it may die alone.
One request as JSON in argv, one JSON object a line on stdout; `modelkit.quantize.child` reads them.
Standard input is a lifeline: when it closes, the parent is gone and so is this process.
"""

import ctypes
import json
import os
import re
import select
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

TENSOR_LINE = re.compile(r"\[ *(\d+)/ *(\d+)\] +(\S+)")
FAILURE_LINE = re.compile(
    r"failed to quantize: (.*)|^.*?(?:error|failed)[^:]*: (.*)", re.IGNORECASE
)
MAX_BUFFER = 64 << 20  # bytes of tensor rows in memory at once
TICK = 0.5  # seconds


def send(**message: object) -> None:
    """Write one message to the parent."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class Log:
    """Receives llama.cpp's log: tensors become messages, the last complaint is kept."""

    def __init__(self, llama: Any) -> None:
        self.complaint = ""
        self.line = ""
        # llama.cpp calls this for as long as the process lives, so it must stay referenced.
        self.callback = llama.llama_log_callback(self.receive)
        llama.llama_log_set(self.callback, ctypes.c_void_p(0))

    def receive(self, _level: int, text: bytes, _data: object) -> None:
        """Take a piece of a line. The tensor's name comes before its work, its size after."""
        piece = text.decode(errors="replace")
        if started := TENSOR_LINE.search(piece):
            send(tensor=started[3])
        *lines, self.line = (self.line + piece).split("\n")
        for line in lines:
            if found := FAILURE_LINE.search(line):
                self.complaint = found[1] or found[2]


def quantize(source: str, target: str, ftype: int, threads: int) -> None:
    """Run llama_model_quantize; sends `error` with llama.cpp's reason, or `done`."""
    llama = import_engine()
    log = Log(llama)
    params = llama.llama_model_quantize_default_params()
    params.ftype = ftype
    params.nthread = threads
    params.max_buf_size = MAX_BUFFER
    code = llama.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(params))
    if code != 0:
        send(error=log.complaint or f"llama_model_quantize returned {code}")
    else:
        send(done=True)


def decode(path: str, tokens: list[int], repack: bool) -> None:
    """Evaluate `tokens` in one batch; sends `logits` (of the last token) and the CPU `features`.

    repack: the weights are rearranged for this CPU, as far as llama.cpp can.
    """
    llama = import_engine()
    log = Log(llama)
    llama.llama_backend_init()
    options = llama.llama_model_default_params()
    options.n_gpu_layers = 0
    options.use_extra_bufts = repack
    model = llama.llama_model_load_from_file(path.encode(), options)
    if not model:
        send(error=log.complaint or "llama.cpp did not load the model")
        return
    settings = llama.llama_context_default_params()
    settings.n_ctx = settings.n_batch = 256
    context = llama.llama_init_from_model(model, settings)
    ids = (llama.llama_token * len(tokens))(*tokens)  # the batch only points at it
    batch = llama.llama_batch_get_one(ids, len(tokens))
    if not context or llama.llama_decode(context, batch) != 0:
        send(error=log.complaint or "llama_decode failed")
        return
    count = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
    logits = llama.llama_get_logits_ith(context, -1)
    features = llama.llama_print_system_info().decode()
    send(logits=[logits[i] for i in range(count)], features=features)


def import_engine() -> Any:
    """Import llama_cpp, or send `missing` with the reason and exit."""
    try:
        from llama_cpp import llama_cpp
    except (ImportError, OSError, RuntimeError) as error:
        send(missing=str(error))
        os._exit(1)
    return llama_cpp


def hold_lifeline(target: str | None) -> None:
    """Wait for the end of standard input, sending a tick now and then so the parent can cancel."""
    with suppress(BrokenPipeError):
        while not select.select([sys.stdin], [], [], TICK)[0]:
            send(tick=True)
    # The parent is gone, and nobody else knows of the unfinished file.
    if target is not None:
        Path(target).unlink(missing_ok=True)
    os._exit(1)


def main() -> None:
    """Run the request in argv: {"call": "quantize" or "decode", …the function's arguments}."""
    request = json.loads(sys.argv[1])
    calls: dict[str, Callable[..., None]] = {"quantize": quantize, "decode": decode}
    call = calls[request.pop("call")]
    target = request.get("target")
    threading.Thread(target=hold_lifeline, args=(target,), daemon=True).start()
    call(**request)
    # Not through the interpreter's shutdown, which can trip over the thread.
    os._exit(0)


if __name__ == "__main__":
    main()
