"""Grammars for answers that must call tools, or whose calls must obey the tools' schemas.

They are written in llguidance's Lark; `%special "..."` is text whose special tokens are meant, and
the schemas inside are as strict as schemas alone (see runner/grammar).
"""

import json
from collections.abc import Sequence

from modelkit.errors import UsageError
from modelkit.serve.output.choice import Named, ToolChoice
from modelkit.serve.output.format import AnswerFormat
from modelkit.serve.output.harmony import identifiers
from modelkit.serve.output.offers import Offer
from modelkit.serve.output.xml_arguments import xml_arguments
from modelkit.serve.types import Grammar

MAX_CALLS = 32
"""In one answer: a weak model might call for ever."""

_FREE = "ANY: /(?s:.*)/"
_END = '%special "<|end|><|start|>" "assistant"'
_ENDS = '("<|end|>" | "<|call|>" | "<|return|>")'


def call_grammar(
    form: AnswerFormat,
    offers: Sequence[Offer],
    choice: ToolChoice,
    *,
    parallel: bool = True,
    content: Grammar | None = None,
) -> Grammar | None:
    """What an answer with these tools must look like, None when it may look like anything.

    `content` is the grammar of an answer without calls. Raises UsageError when the choice is of a
    tool that is not there, or when the model's form of calls leaves no way to enforce this.
    """
    wanted = _wanted(offers, choice)
    if choice == "none" or (choice == "auto" and not offers):
        return content
    free = choice == "auto"
    if free and not any(offer.strict for offer in offers):
        if parallel and content is None:
            return None
        if content and not _are_apart(form, content):
            return content
    if free and content and not _are_apart(form, content):
        raise UsageError(
            "this model's calls of tools cannot be told from the format that is asked for; "
            "leave out the format, or choose the tools to be called"
        )
    writer = _Harmony if form.harmony else _Bare if _is_bare(form) else _Tagged
    return Grammar("lark", writer(form, wanted, parallel=parallel, content=content).lark(free))


def _wanted(offers: Sequence[Offer], choice: ToolChoice) -> list[Offer]:
    """The tools that may be called."""
    if isinstance(choice, Named):
        wanted = [offer for offer in offers if offer.name == choice.name]
        if not wanted:
            name = json.dumps(choice.name, ensure_ascii=False)
            raise UsageError(f"tool_choice names {name}, which is not among the tools")
        return wanted[:1]
    if choice == "required" and not offers:
        raise UsageError('tool_choice is "required", but there are no tools')
    return list({offer.name: offer for offer in offers}.values())


def _are_apart(form: AnswerFormat, content: Grammar) -> bool:
    """Can an answer be told from a call by how it begins?"""
    return content.kind in ("json", "json_schema") and not _is_bare(form)


def _is_bare(form: AnswerFormat) -> bool:
    return not form.harmony and form.tool_tag in ("{", "[")


def special(text: str) -> str:
    """A text in Lark, its special tokens meant as such; nothing for nothing."""
    return f"%special {json.dumps(text, ensure_ascii=False)}" if text else ""


def literal(text: str) -> str:
    """A text in Lark, letter by letter."""
    return json.dumps(text, ensure_ascii=False)


class _Tagged:
    """Calls behind a tag, after text that may be anything else."""

    def __init__(
        self,
        form: AnswerFormat,
        offers: Sequence[Offer],
        *,
        parallel: bool,
        content: Grammar | None,
    ) -> None:
        self._tag = form.tool_tag
        self._form = form.form
        self._offers = offers
        self._parallel = parallel
        self._content = content

    def lark(self, free: bool) -> str:
        """The whole grammar; `free`: the answer need not be a call."""
        start = self._free() if free else [f"start: {self._calls(self._first())}"]
        return "\n".join([*start, *self._rules(), ""])

    def _first(self) -> str:
        return self._form.opening + self._form.before

    def _free(self) -> list[str]:
        tag = literal(self._tag)
        calls = self._calls(self._first().removeprefix(self._tag))
        if self._content:
            head = special(self._tag)
            return [f"start: content | {head} {calls}", f"content: {_json(self._content)}"]
        return [
            f"start: FREE | (opened | FREE {special(self._tag)}) {calls}",
            f"FREE: ANY & ~(ANY {tag} ANY)",
            f"opened[lazy]: ANY {tag}",
        ]

    def _calls(self, first: str) -> str:
        """One or more calls, the first of which begins with this text."""
        form = self._form
        calls = f"{special(first)} call"
        if self._parallel:
            more = f"{special(form.between + form.before)} call"
            calls += f" ({more}){{0,{MAX_CALLS - 1}}}"
        return f"{calls} {special(form.closing)}"

    def _rules(self) -> list[str]:
        names = " | ".join(f"call_{number}" for number in range(len(self._offers)))
        rules = [_FREE, f"call: ({names}) {special(self._form.after)}"]
        for number, offer in enumerate(self._offers):
            name = literal(self._name(offer.name))
            middle = special(self._form.middle)
            rules.append(f"call_{number}: {name} {middle} arguments_{number}")
            rules += self._arguments(f"arguments_{number}", offer)
        return rules

    def _arguments(self, rule: str, offer: Offer) -> list[str]:
        if self._form.style == "xml":
            return xml_arguments(rule, offer)
        return [f"{rule}: %json {json.dumps(offer.schema)}"]

    def _name(self, name: str) -> str:
        if self._form.style == "json":
            return json.dumps(name, ensure_ascii=False)[1:-1]
        return name


class _Bare(_Tagged):
    """Calls that are the whole answer: what begins like one must be one."""

    def _free(self) -> list[str]:
        other = "[^" + "\\s\\x1c-\\x1f\\" + self._tag + "]"
        return [
            f"start: FREE | {self._calls(self._first())}",
            f"FREE: /(?s:[\\s\\x1c-\\x1f]*({other}.*)?)/",
        ]


class _Harmony(_Tagged):
    """One call in a channel of its own, after thoughts; the grammar covers these too."""

    def __init__(
        self,
        form: AnswerFormat,
        offers: Sequence[Offer],
        *,
        parallel: bool,
        content: Grammar | None,
    ) -> None:
        super().__init__(form, offers, parallel=False, content=content)
        self._names = identifiers(offer.name for offer in offers)

    def lark(self, free: bool) -> str:
        call = self._calls(self._first())
        start = [f"start: (thought {_END})? {call}"]
        if free:
            start = [
                f"start: (thought {_END} | preamble {_END}){{0,{MAX_CALLS}}} (answer | {call})",
                f"preamble: {special('<|channel|>commentary<|message|>')} FREE",
                f"answer: {special('<|channel|>final<|message|>')} {self._body()}",
            ]
        return "\n".join(
            [
                *start,
                f"thought: {special('<|channel|>analysis<|message|>')} FREE",
                f"FREE: ANY & ~(ANY {_ENDS} ANY)",
                *self._rules(),
                "",
            ]
        )

    def _body(self) -> str:
        return _json(self._content) if self._content else "FREE"

    def _name(self, name: str) -> str:
        return self._names[name]


def _json(content: Grammar) -> str:
    return f"%json {content.source or json.dumps({'type': 'object'})}"
