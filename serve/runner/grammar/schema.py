"""JSON schemas, checked keyword by keyword and rewritten so that llguidance enforces all of them.

What cannot be enforced is refused by name: an answer that merely looks right is worse than none.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from modelkit.errors import UsageError
from modelkit.serve.runner.grammar.closed import close_objects
from modelkit.serve.runner.grammar.disjoint import all_disjoint
from modelkit.serve.runner.grammar.drafts import is_older, with_prefix_items
from modelkit.serve.runner.grammar.formats import NATIVE, PATTERNS
from modelkit.serve.runner.grammar.keywords import instead_of, is_silent
from modelkit.serve.runner.grammar.pattern import Translation, translate
from modelkit.serve.runner.grammar.productive import endless
from modelkit.serve.runner.grammar.values import CHECKS, MAX_INTEGER, malformed

# These bound what compiling costs to about a second.
MAX_LENGTH = 1 << 18
MAX_SCHEMAS = 2000
MAX_DEPTH = 96  # keys and indices in a JSON pointer
# llguidance follows references on the stack: a chain of a thousand would overflow it.
MAX_DEFINITIONS = 200

Schema = dict[str, Any]


def normalise(source: str) -> Schema:
    """A schema of draft 2020-12 for llguidance that admits nothing else: only keywords it enforces,
    objects closed (see closed.py), and all that is reachable through a $ref under $defs.

    Raises UsageError, with the keywords and their JSON pointers, for what is not enforced, and for
    what is no schema, matches no finite value or is too large.
    """
    if len(source) > MAX_LENGTH:
        raise UsageError(f"the JSON schema has more than {MAX_LENGTH} characters")
    try:
        return _Normaliser(json.loads(source, parse_constant=_no_constant)).run()
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the JSON schema cannot be read: {error}") from error


class _Normaliser:
    """Walks what the root reaches; a definition is visited once, however often it is named."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._old = is_older(document)
        self._names: dict[str, str] = {}
        self._waiting: list[str] = []
        self._refused: dict[str, None] = {}
        self._count = 0
        self._keywords: dict[str, Callable[[Any, str], Schema]] = {
            "$ref": self._ref,
            "additionalProperties": lambda v, at: {"additionalProperties": self._walk(v, at)},
            "allOf": lambda v, at: {"allOf": self._list(v, at)},
            "anyOf": lambda v, at: {"anyOf": self._list(v, at)},
            "format": self._format,
            "items": self._items,
            "oneOf": self._one_of,
            "pattern": lambda v, at: {"pattern": _translated(v, at).pattern},
            "patternProperties": self._pattern_properties,
            "prefixItems": lambda v, at: {"prefixItems": self._list(v, at)},
            "properties": lambda v, at: {"properties": self._map(v, at)},
            **CHECKS,
        }

    def run(self) -> Schema:
        root = self._name("#")
        definitions: Schema = {}
        while self._waiting:
            pointer = self._waiting.pop()
            definitions[self._names[pointer]] = self._walk(self._resolve(pointer), pointer)
        if self._refused:
            raise UsageError(f"unsupported in a JSON schema: {', '.join(self._refused)}")
        if never := endless(definitions):
            pointers = {name: pointer for pointer, name in self._names.items()}
            where = ", ".join(pointers[name] for name in never)
            raise UsageError(f"no finite value matches the JSON schema at {where}")
        close_objects(definitions)
        return {"$ref": f"#/$defs/{root}", "$defs": definitions}

    def _name(self, pointer: str) -> str:
        if pointer not in self._names:
            if len(self._names) > MAX_DEFINITIONS:
                limit = f"at most {MAX_DEFINITIONS} different places may be referred to"
                raise UsageError(f"the JSON schema has too many $ref; {limit}")
            self._names[pointer] = f"d{len(self._names)}"
            self._waiting.append(pointer)
        return self._names[pointer]

    def _resolve(self, pointer: Any) -> Any:
        """What a reference names in the document (RFC 6901)."""
        if not isinstance(pointer, str) or not (pointer == "#" or pointer.startswith("#/")):
            name = json.dumps(pointer)
            raise UsageError(f'the $ref {name} leads out of the JSON schema; only "#/..." may be')
        found = self._document
        for part in unquote(pointer).split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and key in found:
                found = found[key]
            elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            else:
                raise UsageError(f"the $ref {json.dumps(pointer)} names nothing in the JSON schema")
        return found

    def _walk(self, schema: Any, pointer: str) -> Any:
        self._count += 1
        if self._count > MAX_SCHEMAS or pointer.count("/") > MAX_DEPTH:
            limits = f"{MAX_SCHEMAS} subschemas, {MAX_DEPTH} levels"
            raise UsageError(f"the JSON schema is too large at {pointer}; the limit is {limits}")
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            raise malformed(pointer, "a schema is an object, true or false")
        out: Schema = {}
        for keyword, value in self._constraints(schema, pointer).items():
            part = self._keywords[keyword](value, f"{pointer}/{_escape(keyword)}")
            # Two keywords may be rewritten to the same one: then both must hold.
            if out.keys() & part.keys():
                out.setdefault("allOf", []).append(part)
            else:
                out.update(part)
        return _with_bounds(out)

    def _constraints(self, schema: Schema, pointer: str) -> Schema:
        """The keywords that forbid something and can be enforced; the others are noted."""
        said = {key: value for key, value in schema.items() if not is_silent(key, value)}
        if pointer == "#":
            said.pop("$schema", None)
            said.pop("$id", None)
        if self._old:
            said = with_prefix_items(said, pointer)
        for keyword in [key for key in said if key not in self._keywords]:
            self._refuse(keyword, pointer, instead_of(keyword))
        self._check_keys(said, pointer)
        return {key: value for key, value in said.items() if key in self._keywords}

    def _refuse(self, keyword: str, pointer: str, instead: str = "") -> None:
        place = f"{json.dumps(keyword)} at {pointer}"
        self._refused[f"{place} ({instead})" if instead else place] = None

    def _check_keys(self, schema: Schema, pointer: str) -> None:
        """Refuse what llguidance cannot promise of keys that have no fixed name."""
        required = schema.get("required", [])
        least = schema.get("minProperties", 0)
        # It does not see when two such keys are equal, so one of them counts at most.
        if isinstance(least, int) and isinstance(required, list) and least > len(required) + 1:
            self._refuse("minProperties", pointer, 'name the properties in "required"')
        patterns = schema.get("patternProperties", {})
        if schema.get("additionalProperties") is False or not isinstance(patterns, dict):
            return
        for key in patterns:
            if not _translated(key, f"{pointer}/patternProperties").exact:
                instead = f'{key} matches differently elsewhere: add "additionalProperties": false'
                self._refuse("patternProperties", pointer, instead)

    def _list(self, value: Any, pointer: str) -> list[Any]:
        if not isinstance(value, list) or not value:
            raise malformed(pointer, "a list with at least one schema is expected")
        return [self._walk(schema, f"{pointer}/{index}") for index, schema in enumerate(value)]

    def _map(self, value: Any, pointer: str) -> Schema:
        if not isinstance(value, dict):
            raise malformed(pointer, "an object of schemas is expected")
        return {key: self._walk(item, f"{pointer}/{_escape(key)}") for key, item in value.items()}

    def _items(self, value: Any, pointer: str) -> Schema:
        if isinstance(value, list):
            raise malformed(pointer, 'a tuple is spelt "prefixItems"')
        return {"items": self._walk(value, pointer)}

    def _one_of(self, value: Any, pointer: str) -> Schema:
        options = self._list(value, pointer)
        if not all_disjoint(value, self._resolve):
            instead = 'alternatives may hold together: use "anyOf", or constants that tell apart'
            self._refuse("oneOf", pointer.rpartition("/")[0], instead)
        return {"anyOf": options}

    def _pattern_properties(self, value: Any, pointer: str) -> Schema:
        walked = self._map(value, pointer)
        schemas: Schema = {}
        for key, schema in walked.items():
            pattern = _translated(key, pointer).pattern
            both = [schemas[pattern], schema] if pattern in schemas else []
            schemas[pattern] = {"allOf": both} if both else schema
        return {"patternProperties": schemas}

    def _ref(self, value: Any, _: str) -> Schema:
        self._resolve(value)
        return {"$ref": f"#/$defs/{self._name(value)}"}

    def _format(self, value: Any, pointer: str) -> Schema:
        if not isinstance(value, str):
            raise malformed(pointer, "a string is expected")
        if value in PATTERNS:
            return {"pattern": PATTERNS[value]}
        if value not in NATIVE:
            known = ", ".join(sorted(NATIVE | PATTERNS.keys()))
            self._refuse("format", pointer.rpartition("/")[0], f"not {value}, but {known}")
        return {"format": value}


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _with_bounds(schema: Schema) -> Schema:
    """Integers get a longest form: a weak model might add digits for ever."""
    types = schema.get("type", ())
    if "integer" not in types or "number" in types:
        return schema
    if "minimum" not in schema and "exclusiveMinimum" not in schema:
        schema["minimum"] = -MAX_INTEGER
    if "maximum" not in schema and "exclusiveMaximum" not in schema:
        schema["maximum"] = MAX_INTEGER
    return schema


def _translated(value: Any, pointer: str) -> Translation:
    if not isinstance(value, str):
        raise malformed(pointer, "a string is expected")
    try:
        return translate(value)
    except UsageError as error:
        raise UsageError(f"{error.message}, at {pointer}") from error


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
