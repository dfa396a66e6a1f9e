"""The sandboxed Jinja chat templates."""

import time

import pytest

from modelkit.templates import TemplateError
from modelkit.templates.jinja import (
    ChatTemplate,
    chat_template,
)
from modelkit.templates.sandbox import MAX_SECONDS

USER = [{"role": "user", "content": "Hi"}]
CHATML = (
    "{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def render(source: str, **variables: object) -> str:
    return ChatTemplate(source).render(USER, **variables)  # type: ignore[arg-type]


def test_chatml_is_rendered_with_its_generation_prompt() -> None:
    text = ChatTemplate(CHATML).render(
        [{"role": "system", "content": "Be brief."}, *USER], bos_token="<s>"
    )
    assert text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_block_tags_leave_no_lines_of_their_own() -> None:
    source = (
        "{% for m in messages %}\n    {% if true %}\n{{ m.content }}\n    {% endif %}\n{% endfor %}"
    )
    assert render(source) == "Hi\n"


def test_the_special_tokens_are_variables() -> None:
    assert (
        render("{{ bos_token }}|{{ eos_token }}", bos_token="<s>", eos_token="</s>") == "<s>|</s>"
    )


def test_tojson_keeps_order_and_html_and_unicode() -> None:
    assert render('{{ {"b": "<é>", "a": 1} | tojson }}') == '{"b": "<é>", "a": 1}'
    assert render("{{ [1] | tojson(indent=2) }}") == "[\n  1\n]"


def test_break_and_continue_work_in_loops() -> None:
    source = (
        "{% for i in range(9) %}{% if i == 1 %}{% continue %}{% endif %}"
        "{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}"
    )
    assert render(source) == "023"


def test_the_loop_variable_still_counts() -> None:
    source = "{% for i in 'abc' %}{{ loop.index }}{{ '' if loop.last else ',' }}{% endfor %}"
    assert render(source) == "1,2,3"


def test_a_generation_block_prints_its_body() -> None:
    assert render("a{% generation %}{{ messages[0].content }}{% endgeneration %}b") == "aHib"


def test_strftime_now_tells_the_year() -> None:
    assert render("{{ strftime_now('%Y') }}") == time.strftime("%Y")


def test_a_namespace_can_be_filled_in_a_loop() -> None:
    source = (
        "{% set ns = namespace(n='') %}"
        "{% for i in range(3) %}{% set ns.n = ns.n ~ i %}{% endfor %}{{ ns.n }}"
    )
    assert render(source) == "012"


def test_what_the_template_refuses_is_told() -> None:
    with pytest.raises(TemplateError, match="refused the messages: roles must alternate"):
        render("{{ raise_exception('roles must alternate') }}")


@pytest.mark.parametrize(
    "source", ["{% if %}", "{{ ", "{% endfor %}", "{{ a | nofilter }}", "{% unknown %}"]
)
def test_a_template_that_does_not_compile_is_refused(source: str) -> None:
    with pytest.raises(TemplateError, match="does not compile"):
        ChatTemplate(source)


@pytest.mark.parametrize(
    "source",
    [
        "{% if a %}" * 10_000,
        "{% for a in b %}" * 3_000 + "{% endfor %}" * 3_000,
        "{{ " + "(" * 45_000 + "1" + ")" * 45_000 + " }}",
        "{{ " + "9" * 90_000 + " }}",
        "{{ a" + "|e" * 45_000 + " }}",
        "{%" * 50_000,
        "{{ " + "{'a':" * 18_000,
    ],
)
def test_a_hostile_source_is_refused_quickly(source: str) -> None:
    started = time.monotonic()
    with pytest.raises(TemplateError, match="does not compile"):
        ChatTemplate(source)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages.append(1) }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{{ 1 / 0 }}",
        "{{ nothing.at.all }}",
        "{{ messages[0].content + 1 }}",
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
        "{{ '%999999999999d' % 1 }}",
    ],
)
def test_an_unsafe_or_broken_expression_is_an_error(source: str) -> None:
    with pytest.raises(TemplateError):
        render(source)


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 'x' * 10000000000 }}",
        "{{ 10000000000 * 'x' }}",
        "{{ 9 ** 99999999999 }}",
        "{{ 'x'.ljust(10000000000) }}",
        "{% set ns = namespace(t='xxxxxxxxxx') %}"
        "{% for i in range(60) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}",
        "{% set ns = namespace(t='xxxxxxxxxx') %}"
        "{% for i in range(60) %}{% set ns.t = ns.t + ns.t %}{% endfor %}",
        "{% set big = 'x' * 9000000 %}{{ big }}{{ big }}",
        "{{ 'x' | center(10000000000) }}",
        "{{ '{:>10000000000}'.format('x') }}",
        "{{ '{:>{}}'.format('x', 10000000000) }}",
        "{{ '%10000000000s' | format('x') }}",
        "{{ '%s' % (['x' * 9000000] * 1000) }}",
        "{{ '{}'.format(['x' * 9000000] * 1000) }}",
        "{{ '%s' | format(['x' * 9000000] * 1000) }}",
        "{{ ('a' * 60000) | replace('a', 'b' * 60000) }}",
        "{{ ('a' * 60000).replace('a', 'b' * 60000) }}",
        "{{ ('a' * 60000) | list | join('b' * 60000) }}",
        "{{ ('a' * 60000) | map('upper') | join('b' * 60000) }}",
        "{{ ('b' * 60000).join('a' * 60000) }}",
        "{{ ('\\n' * 60000) | indent(60000) }}",
        "{{ ('\\t' * 60000).expandtabs(60000) }}",
        "{{ ['x' * 9000000] * 1000 }}",
        "{{ ['x' * 9000000] * 1000 ~ '' }}",
        "{{ (['x' * 9000000] * 1000) | upper }}",
        "{{ (['x' * 9000000] * 1000) | tojson }}",
        "{% set a = 'x' * 9000000 %}{% set b %}{{ a }}{{ a }}{% endset %}{{ b | length }}",
        "{% macro m() %}{{ 'x' * 9000000 }}{{ 'x' * 9000000 }}{% endmacro %}{{ m() | length }}",
        "{% set ns = namespace(l=[]) %}"
        "{% for i in range(90000) %}{% set ns.l = ns.l + ['x' * 9000000 ~ i] %}{% endfor %}",
        "{% set ns = namespace(n=3) %}"
        "{% for i in range(90) %}{% set ns.n = ns.n * ns.n %}{% endfor %}",
        "{% set step = 'hidden' %}{% for i in range(99999) %}"
        "{% for j in range(99999) %}{% endfor %}{% endfor %}",
    ],
)
def test_a_template_that_does_too_much_is_stopped(source: str) -> None:
    started = time.monotonic()
    with pytest.raises(TemplateError, match=r"too much|too long|too large|Range"):
        render(source)
    assert time.monotonic() - started < MAX_SECONDS + 2


def test_the_count_of_steps_begins_anew_with_each_rendering() -> None:
    template = ChatTemplate("{% for i in range(90000) %}{% endfor %}ok")
    assert [template.render(USER) for _ in range(4)] == ["ok"] * 4


def test_a_compiled_template_is_kept() -> None:
    assert chat_template(CHATML) is chat_template(CHATML)


def test_tools_and_documents_are_there_even_when_none_are_given() -> None:
    source = "{{ tools is none }} {{ documents is none }} {{ tools is defined }}"
    assert render(source) == "True True True"
    given = {"tools": [{"name": "f"}], "documents": [{"title": "t"}]}
    source = "{{ tools[0].name }}{{ documents[0].title }}"
    assert render(source, **given) == "ft"


def test_thinking_is_asked_for_by_arguments() -> None:
    source = "{{ enable_thinking }} {{ reasoning_effort | default('medium') }}"
    assert render(source, enable_thinking=False) == "False medium"
    assert render(source, enable_thinking=True, reasoning_effort="low") == "True low"


def test_what_a_generation_block_sets_stays_inside() -> None:
    source = "{% set a = 1 %}{% generation %}{% set a = 2 %}{{ a }}{% endgeneration %}{{ a }}"
    assert render(source) == "21"


def test_a_number_too_large_for_a_float_is_the_templates_failure() -> None:
    with pytest.raises(TemplateError):
        ChatTemplate("{{ 1e400 - messages }}").render([])
