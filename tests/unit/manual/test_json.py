"""The page of the JSON contract names every key of the documents that the pages are made of."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from manual.reference import DOCS
from tests.unit.operations.page import samples

NAMED = set(re.findall(r"`(\w+)(?:\[\]|\{\})?`", (DOCS / "json.md").read_text()))
DOCUMENTS: dict[str, Callable[[], Any]] = {**samples.PAGES, **samples.REPORTS, **samples.MONTHS}


def keys(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        for key, value in document.items():
            yield key
            yield from keys(value)
    elif isinstance(document, list):
        for value in document:
            yield from keys(value)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_key_is_on_the_page(name: str) -> None:
    assert set(keys(DOCUMENTS[name]())) - NAMED == set()
