"""GoTemplate: a template parsed and compiled once, rendered as often as needed."""

from functools import cached_property
from typing import TYPE_CHECKING

from modelkit.errors import TemplateError
from modelkit.templates.go import tree
from modelkit.templates.go.quoting import printable
from modelkit.templates.go.state import Limits, State
from modelkit.templates.go.values import INVALID

if TYPE_CHECKING:
    from modelkit.templates.go.statements import Execute

_LIMITS = Limits()


class GoTemplate:
    """A Go template as Ollama uses it; safe to render from several threads at once.

    Missing keys of maps are nil (missingkey=zero). Raises TemplateError (stage parse).
    """

    def __init__(self, source: str, name: str = "") -> None:
        from modelkit.templates.go.check import check
        from modelkit.templates.go.parser import parse
        from modelkit.templates.go.statements import compile_templates

        self.source = source
        self.name = name
        try:
            self.tree: tree.Body = parse(source)
            self._run: Execute = compile_templates(check(self.tree, source))[""]
        except RecursionError:
            reason = "max expression depth exceeded"
            raise TemplateError(reason, stage="parse", hint="nest fewer blocks") from None

    def render(self, data: object = None, *, limits: Limits = _LIMITS) -> str:
        """The text for `data`: dict, list, int, float, str, bool, None, or typed values.

        Raises TemplateError (stage execute), also when `limits` are reached. Bytes that are not
        UTF-8, which only cutting a text in the middle of a character makes, become U+FFFD.
        """
        dot = INVALID if data is None else data
        state = State(limits, dot)
        try:
            self._run(state, dot)
        except RecursionError:
            reason = "the template or its data is nested too deep"
            raise TemplateError(reason, stage="execute") from None
        return printable("".join(state.out))

    def identifiers(self) -> set[str]:
        """The lower-cased names of all fields and variables, definitions included.

        Raises TemplateError (stage parse) for a template called without a value, as Ollama does.
        """
        return set(self._identifiers)

    @cached_property
    def _identifiers(self) -> frozenset[str]:
        names: set[str] = set()
        for node in self.tree.walk():
            match node:
                case tree.Field():
                    names.update(node.names)
                case tree.Variable():
                    names.update((node.name, *node.fields))
                case tree.Chain():
                    names.update(node.fields)
                case tree.TemplateCall() if node.pipeline is None:
                    raise TemplateError(
                        "undefined template specified",
                        stage="parse",
                        line=node.line,
                        column=node.column,
                        hint=f'give it a value: {{{{ template "{node.name}" . }}}}',
                    )
        return frozenset(name.lower() for name in names)
