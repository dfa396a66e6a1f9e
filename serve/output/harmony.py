"""The answers of gpt-oss: messages in channels (https://github.com/openai/harmony)."""

import re
from collections.abc import Iterable, Sequence

from modelkit.serve.output.calls import decode_object, tool_call
from modelkit.serve.output.parser import Output
from modelkit.serve.output.tags import before_tag
from modelkit.templates.messages import Function

_START, _MESSAGE = "<|start|>", "<|message|>"
_ENDS = ("<|end|>", "<|call|>", "<|return|>")
_END = re.compile("|".join(map(re.escape, _ENDS)))
_ANALYSIS = re.compile(r"<\|channel\|>\s*analysis\b")
_RECIPIENT = re.compile(r"\bto=functions\.([^\s<]+)")


_UNDERSCORED = str.maketrans(" -.", "___")
# Tools that the model was trained with.
_BUILT_IN = {"browser.open", "browser.search", "browser.find", "python"}


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """What the tools are called in prompts and answers: identifiers, no two of them equal."""
    found: dict[str, str] = {}
    for name in names:
        if name in found:
            continue
        base = candidate = name if name in _BUILT_IN else identifier(name)
        count = 1
        while candidate in found.values():
            count += 1
            candidate = f"{base}_{count}"
        found[name] = candidate
    return found


def identifier(name: str) -> str:
    """A tool's name as an identifier: letters, digits, `_` and `$`, no digit first."""
    underscored = name.translate(_UNDERSCORED)
    kept = "".join(c for c in underscored if c.isalpha() or c.isdecimal() or c in "_$")
    return f"_{kept}" if kept[:1].isdecimal() else kept or "unnamed"


class HarmonyParser:
    """Thoughts from the analysis channel, calls by their recipient, all else is content.

    A message is a header, which says what it is, and a body; the prompt has begun the first one.
    The body of a call that cannot be read is content. An OutputParser.
    """

    def __init__(self, prompt: str, tools: Sequence[str] = ()) -> None:
        """`tools` are the names that may be called; the model knows them as identifiers."""
        self._tools = {spelt: name for name, spelt in identifiers(tools).items()}
        begun = prompt.rpartition(_START)[2] if _START in prompt else ""
        header, in_body, _ = begun.partition(_MESSAGE)
        self._header = header if in_body else None
        self._held = "" if in_body else begun
        self._begun = len(self._held)
        self._messages = self._calls = 0

    def feed(self, text: str) -> Output:
        """As OutputParser.feed."""
        self._held += text
        output = Output()
        while self._read_header():
            body, ended = self._read_body()
            if body or ended:
                output += self._sorted(body)
            if not ended:
                break
            self._header = None
        return output

    def finish(self) -> Output:
        """The last message needs no end; an answer without any message is content."""
        held, self._held = self._held, ""
        if self._header is not None:
            return self._sorted(held)
        return Output(content="" if self._messages else held[self._begun :])

    def _read_header(self) -> bool:
        """Whether a body begins, or goes on, here."""
        if self._header is None:
            header, found, rest = self._held.partition(_MESSAGE)
            if found:
                self._header, self._held = header, rest
                self._messages += 1
        return self._header is not None

    def _read_body(self) -> tuple[str, bool]:
        """The next part of the body and whether it is the last; a call comes as a whole."""
        end = _END.search(self._held)
        if end:
            body, self._held = self._held[: end.start()], self._held[end.end() :]
        elif self._recipient():
            body = ""
        else:
            body = min((before_tag(self._held, tag)[0] for tag in _ENDS), key=len)
            self._held = self._held[len(body) :]
        return body, bool(end)

    def _recipient(self) -> str:
        found = _RECIPIENT.search(self._header or "")
        return self._tools.get(found[1], "") if found else ""

    def _sorted(self, body: str) -> Output:
        if _ANALYSIS.search(self._header or ""):
            return Output(thinking=body)
        arguments = decode_object(body.strip() or "{}") if self._recipient() else None
        if not self._recipient() or arguments is None:
            return Output(content=body)
        call = Function(index=self._calls, name=self._recipient(), arguments=arguments)
        self._calls += 1
        return Output(tool_calls=[tool_call(call)])
