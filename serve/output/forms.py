"""How calls of tools are written: the texts around their names and arguments."""

import re
from dataclasses import dataclass
from typing import Literal

# Fullwidth bars, as in DeepSeek's vocabulary.
_DEEPSEEK = "<\uff5ctool▁{}\uff5c>".format
_HARMONY_NAME = "<|channel|>commentary to=functions."
_PARAMETERS = re.compile(r'"parameters"[^"\w]*[\w.\s(]*arguments', re.IGNORECASE)


@dataclass(frozen=True)
class CallForm:
    """`opening`, calls with `between`, `closing`; a call is `before` name `middle` arguments
    `after`.

    json: the name is a JSON string and its arguments are beside it in an object; named: only the
    arguments are JSON; xml: each argument has a tag of its own.
    """

    before: str
    middle: str
    after: str = ""
    opening: str = ""
    between: str = "\n"
    closing: str = ""
    style: Literal["json", "named", "xml"] = "json"


XML = CallForm(
    before="<tool_call>\n<function=",
    middle=">\n",
    after="</function>\n</tool_call>",
    style="xml",
)
HARMONY = CallForm(before=_HARMONY_NAME, middle=" <|constrain|>json<|message|>", style="named")
MISTRAL = CallForm(before="[TOOL_CALLS]", middle="[ARGS]", between="", style="named")
DEEPSEEK_R1 = CallForm(
    opening=_DEEPSEEK("calls▁begin"),
    before=_DEEPSEEK("call▁begin") + "function" + _DEEPSEEK("sep"),
    middle="\n```json\n",
    after="\n```" + _DEEPSEEK("call▁end"),
    closing=_DEEPSEEK("calls▁end"),
    style="named",
)
DEEPSEEK = CallForm(
    opening=_DEEPSEEK("calls▁begin"),
    before=_DEEPSEEK("call▁begin"),
    middle=_DEEPSEEK("sep"),
    after=_DEEPSEEK("call▁end"),
    between="",
    closing=_DEEPSEEK("calls▁end"),
    style="named",
)
# What tells a form in a chat template, the surest first.
_MARKS = (
    ("<function=", XML),
    ("[ARGS]", MISTRAL),
    ("```json\\n' + tool", DEEPSEEK_R1),
    (_DEEPSEEK("sep") + "' + tool", DEEPSEEK),
)


def call_form(tag: str, template: str) -> CallForm:
    """The form of calls behind `tag`, told from the template that writes earlier ones."""
    for mark, form in _MARKS:
        if mark in template and (form.opening or form.before).startswith(tag):
            return form
    return _json_form(tag, template)


def _json_form(tag: str, template: str) -> CallForm:
    """Objects with a name and arguments: one after the other, in a list, or each in its tags."""
    space = "" if '"name":"' in template else " "
    key = "parameters" if _PARAMETERS.search(template) else "arguments"
    call = CallForm(f'{{"name":{space}"', f'",{space}"{key}":{space}', "}", between="; ")
    if tag == "{":
        return call
    if tag in ("[TOOL_CALLS]", "<|tool_call|>", "<TOOLCALL>"):
        tag += " [" if f"{tag} [" in template else "["
    if tag.endswith("["):
        end = "]</TOOLCALL>" if tag.startswith("<TOOLCALL>") else "]"
        return CallForm(call.before, call.middle, "}", tag, f",{space}", end)
    closing = tag.replace("<", "</", 1)
    if closing not in template:
        return CallForm(call.before, call.middle, "}", tag)
    line = "\n" if re.search(re.escape(tag) + r"(\n|\\n)", template) else ""
    return CallForm(tag + line + call.before, call.middle, "}" + line + closing)
