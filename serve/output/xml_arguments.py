"""Arguments between tags of their own, as rules of a Lark grammar."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from modelkit.serve.output.offers import Offer
from modelkit.serve.output.xml_values import is_raw
from modelkit.serve.runner.grammar.keywords import is_silent
from modelkit.serve.runner.grammar.values import CHECKS

_DEFINITIONS = ("$defs", "definitions")
_ROOT = {"$schema", "type", "properties", "required", "additionalProperties", *_DEFINITIONS}
_CLOSING = "</parameter>"
_END = json.dumps(f"\n{_CLOSING}\n")
# Needs the terminal ANY.
_UNENDED = f"(ANY & ~(ANY {json.dumps(_CLOSING)} ANY))"


def xml_arguments(rule: str, offer: Offer) -> list[str]:
    """The rule and those it needs: properties in the order of the schema, required ones always.

    Raises UsageError for what cannot be enforced in this form.
    """
    if not offer.strict:
        text = f"TEXT_{rule.upper()}"
        value = f"({json.dumps('<parameter=')} /[^>\\n]+/ {text})*"
        return [f"{rule}: {value}", f'{text}: ">\\n" {_UNENDED} {_END}']
    schema = offer.schema
    required = _required(schema, offer)
    parts, rules = ['""'], []
    for number, (key, value) in enumerate(schema.get("properties", {}).items()):
        name = f"{rule}_{number}"
        parts.append(name if key in required else f"{name}?")
        rules += _property(name, key, _with_definitions(value, schema, offer), offer)
    return [f"{rule}: {' '.join(parts)}", *rules]


def _required(schema: Mapping[str, Any], offer: Offer) -> frozenset[str]:
    """The properties that must be there; all that the schema says must be enforced."""
    for key, value in schema.items():
        if key not in _ROOT and not is_silent(key, value):
            raise offer.refused(f"{json.dumps(key)} at # cannot be enforced between tags")
    required, properties = schema.get("required", []), schema.get("properties", {})
    CHECKS["required"](required, "#/required")
    if not isinstance(properties, Mapping):
        raise offer.refused("an object of schemas is expected at #/properties")
    if missing := set(required) - properties.keys():
        raise offer.refused(f"{json.dumps(min(missing))} is required and not described")
    return frozenset(required)


def _property(rule: str, key: str, schema: Any, offer: Offer) -> list[str]:
    if not key or ">" in key or "\n" in key:
        raise offer.refused(f"the property {json.dumps(key)} cannot be named in a tag")
    opening = json.dumps(f"<parameter={key}>\n", ensure_ascii=False)
    if not is_raw(schema):
        inner = {**schema, "x-where": offer.where} if isinstance(schema, dict) else schema
        return [f"{rule}: {opening} %json {json.dumps(inner)} {_END}"]
    text = f"TEXT_{rule.upper()}"
    return [f"{rule}: {opening} {text}", f"{text}: ({_raw(schema, offer)}) {_END}"]


def _raw(schema: Mapping[str, Any], offer: Offer) -> str:
    """The expression of a string that is written as it is."""
    for key in CHECKS.keys() & schema.keys():
        CHECKS[key](schema[key], f"#/{key}")
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    listed = [values for values in (schema.get("enum"), _constant(schema)) if values is not None]
    if not listed:
        upper = "" if most is None else most
        return f"/(?s:.{{{least},{upper}}})/ & {_UNENDED}"
    texts = [text for text in listed[0] if isinstance(text, str) and text in listed[-1]]
    texts = [text for text in texts if least <= len(text) and (most is None or len(text) <= most)]
    if not texts or any(_CLOSING in text for text in texts):
        raise offer.refused(f"the values {json.dumps(listed[0])} cannot be written between tags")
    return " | ".join(json.dumps(text, ensure_ascii=False) for text in texts)


def _constant(schema: Mapping[str, Any]) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else None


def _with_definitions(schema: Any, root: Mapping[str, Any], offer: Offer) -> Any:
    """The schema of one property with the definitions that its references name."""
    if not isinstance(schema, dict):
        return schema
    known = tuple(f"#/{key}/" for key in _DEFINITIONS)
    for reference in _references([schema, *(root.get(key) for key in _DEFINITIONS)]):
        if not str(reference).startswith(known):
            raise offer.refused(
                f'the $ref {json.dumps(reference)} is not of the form "#/$defs/..."'
            )
    return {**schema, **{key: root[key] for key in _DEFINITIONS if key in root}}


def _references(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _references(inner)
