"""Every edge case of the specification of Ollama's API is in a table, or in a test named here."""

import re
from pathlib import Path

import pytest

from tests.serve.api import (
    test_edge_cases_embed,
    test_edge_cases_inference,
    test_edge_cases_modelfile,
    test_edge_cases_models,
    test_edge_cases_names,
    test_edge_cases_output,
    test_edge_cases_store,
    test_edge_cases_templates,
    test_edge_cases_transport,
)

TESTS = Path(__file__).parents[2]
COUNT = 140

TABLES = (
    test_edge_cases_embed,
    test_edge_cases_inference,
    test_edge_cases_modelfile,
    test_edge_cases_models,
    test_edge_cases_names,
    test_edge_cases_output,
    test_edge_cases_store,
    test_edge_cases_templates,
    test_edge_cases_transport,
)

HELD = {
    # A manifest that lists a digest twice.
    32: ("modelkit/test_store.py::test_a_manifest_that_lists_a_blob_twice_can_be_deleted",),
    # An interrupted pull goes on where it was, also Ollama's own.
    40: (
        "registry/test_pull.py::test_ollamas_own_unfinished_download_is_continued",
        "registry/test_resume.py::test_a_killed_pull_goes_on_where_it_was",
        "registry/test_partial.py::test_a_new_file_has_the_full_size_and_records_in_ollamas_form",
    ),
    # A full queue.
    106: ("serve/api/test_lifecycle.py::test_a_full_queue_is_a_503",),
    # `format` after thoughts is a second run, without them the only one.
    121: (
        "serve/api/test_format.py::test_thoughts_are_free_and_the_answer_after_them_is_not",
        "serve/api/test_format.py::test_without_thinking_the_form_holds_from_the_start",
    ),
}


def test_every_edge_case_has_a_row_or_a_test() -> None:
    numbers = set(HELD).union(*(table.NUMBERS for table in TABLES))
    assert numbers == set(range(1, COUNT + 1))


@pytest.mark.parametrize("place", [place for places in HELD.values() for place in places])
def test_a_test_that_is_named_is_there(place: str) -> None:
    file, name = place.split("::")
    assert re.search(rf"^def {name}\(", (TESTS / file).read_text(), re.MULTILINE)
