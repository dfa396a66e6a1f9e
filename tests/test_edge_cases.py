"""Every edge case of the specification's second list has a row, a test named here, or a reason.

The list is that of OpenAI's and Anthropic's APIs, the command line, registries, Ollama's cloud and
imports; the first list is that of tests/serve/api/test_edge_cases.py.
"""

import re
from pathlib import Path

import pytest

from tests.modelkit.cli import test_edge_cases_commands
from tests.registry import test_edge_cases_registry
from tests.serve.anthropic import test_edge_cases_messages
from tests.serve.api import test_edge_cases_remote
from tests.serve.openai import test_edge_cases_answers, test_edge_cases_requests
from tests.serve.openai.responses import test_edge_cases_responses

TESTS = Path(__file__).parent
COUNT = 95

TABLES = (
    test_edge_cases_requests,
    test_edge_cases_answers,
    test_edge_cases_responses,
    test_edge_cases_messages,
    test_edge_cases_remote,
    test_edge_cases_registry,
    test_edge_cases_commands,
)

HELD = {
    # A web search shows nobody the client's credentials, and passes a refusal on.
    54: (
        "serve/api/test_remote.py::test_requests_to_the_cloud_are_signed",
        "serve/web/test_search.py::test_what_such_a_server_refuses_is_passed_on_as_it_is",
    ),
    # An unknown model, streamed and not.
    56: ("serve/api/test_transfer.py::test_pulling_what_the_registry_does_not_have",),
    # A registry that serves blobs itself. A difference: it is as good as one that redirects.
    57: ("registry/test_pull.py::test_a_server_without_ranges_is_read_in_one_stream",),
    # An interrupted pull.
    58: (
        "registry/test_partial.py::test_a_new_file_has_the_full_size_and_records_in_ollamas_form",
        "registry/test_pull.py::test_ollamas_own_unfinished_download_is_continued",
        "registry/test_resume.py::test_a_killed_pull_goes_on_where_it_was",
    ),
    # Wrong bytes.
    59: ("registry/test_pull.py::test_a_tampered_blob_is_refused_and_removed",),
    # Pulls of one model at the same time, and one of them ends early.
    61: (
        "registry/test_pull.py::test_threads_that_pull_the_same_model_share_the_download",
        "registry/test_resume.py::test_whoever_waits_for_a_killed_pull_takes_over",
    ),
    # A token server on another host. A difference: it may be asked without credentials.
    62: (
        "registry/test_auth.py::test_the_key_signs_nothing_for_another_host",
        "registry/test_auth.py::test_the_password_is_not_sent_to_a_foreign_token_server",
    ),
    # A second 401.
    64: ("registry/test_auth.py::test_a_token_that_never_suffices_is_an_auth_error",),
    # What only the former model used.
    69: (
        "registry/test_pull.py::test_layers_that_only_the_former_model_used_are_removed",
        "registry/test_pull.py::test_former_layers_stay_with_noprune",
    ),
    # No Modelfile. A difference: the current folder is not built instead.
    82: ("modelkit/test_cli.py::test_a_missing_modelfile_exits_with_3",),
    # An architecture that is not known.
    84: (
        "modelkit/convert/test_refusals.py"
        "::test_an_unsupported_architecture_names_the_supported_ones",
    ),
    # A GGUF in parts. A difference: it must be merged first.
    86: (
        "modelkit/test_sources.py::test_one_part_of_a_split_gguf_stands_for_all",
        "modelkit/test_build_failures.py::test_a_split_gguf_is_refused_with_the_way_to_merge_it",
    ),
    # Adapters.
    87: (
        "modelkit/convert/test_lora.py::test_the_base_must_be_a_llama",
        "modelkit/test_build_weights.py::test_a_model_is_no_adapter_and_two_adapters_are_too_many",
    ),
    # A rule for splitting text that is not known. A difference: it is refused.
    88: (
        "modelkit/convert/test_pretokenizer.py::test_an_unknown_rule_is_refused_and_never_guessed",
    ),
    # Weights in FP8.
    89: (
        "modelkit/convert/test_float8.py::test_89_what_is_missing_is_named",
        "modelkit/convert/test_float8.py::test_89_the_store_gets_them_in_eight_bits_too",
    ),
    # More embeddings than tokens.
    90: ("modelkit/convert/test_tokenizer.py::test_a_vocabulary_smaller_than_the_model_is_padded",),
}

# What modelkit does not do: transcription, searches by models, images and a history of lines on a
# terminal, settings of other programs, commands for accounts.
NOT_THERE = {41, 49, 50, 79, 80, 91, 92, 93}


def test_every_edge_case_has_a_row_a_test_or_a_reason() -> None:
    numbers = set(HELD).union(NOT_THERE, *(table.NUMBERS for table in TABLES))
    assert numbers == set(range(1, COUNT + 1))


@pytest.mark.parametrize("place", [place for places in HELD.values() for place in places])
def test_a_test_that_is_named_is_there(place: str) -> None:
    file, name = place.split("::")
    assert re.search(rf"^def {name}\(", (TESTS / file).read_text(), re.MULTILINE)
