"""Codes of errors: every error has one, the catalogue explains each, and the page is what the catalogue says."""

import ast
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from recovery import errors
from recovery.error_codes import CODES, as_markdown
from recovery.errors import RequorumError
from recovery.planning.findings.finding import OBJECTIONS
from tests.layers import imports

ROOT = Path(__file__).parents[2]
ERRORS = {name for name, found in vars(errors).items() if isinstance(found, type) and issubclass(found, RequorumError)}
SOURCES = sorted(
    path
    for folder in ("recovery", "components")
    for path in (ROOT / folder).rglob("*.py")
    if "onnode" not in path.parts and path.name != "errors.py"
)
"""The program that runs on a node (onnode) has no codes: its callers give them."""


def calls(path: Path) -> Iterator[ast.Call]:
    return (found for found in ast.walk(ast.parse(path.read_text())) if isinstance(found, ast.Call))


def name(call: ast.Call) -> str:
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


def code(call: ast.Call) -> ast.expr | None:
    return next((given.value for given in call.keywords if given.arg == "code"), None)


def literals(path: Path) -> Iterator[str]:
    """The codes in a file: of errors, and of functions that hand one on to an error."""
    for given in filter(None, map(code, calls(path))):
        for part in (given.body, given.orelse) if isinstance(given, ast.IfExp) else (given,):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield part.value


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_error_has_a_code(path: Path) -> None:
    """A code that is no literal is handed on: from the error's cause, or from whoever calls."""
    made = [call for call in calls(path) if name(call) in ERRORS]
    assert [call.lineno for call in made if code(call) is None or ast.unparse(code(call) or call) == "''"] == []


def test_every_code_is_explained_and_every_explanation_is_of_a_code() -> None:
    used = {found for path in SOURCES for found in literals(path)} - {""} | set(OBJECTIONS.values())
    assert used == CODES.keys()


def test_the_catalogue_is_in_alphabetical_order_and_says_all_three_things() -> None:
    assert list(CODES) == sorted(CODES)
    for entry in CODES.values():
        assert all(getattr(entry, field.name).endswith((".", "`")) for field in fields(entry))


def test_no_program_of_the_product_needs_the_catalogue() -> None:
    """A node carries the modules beside the rooms, but no TOML, and its Python may have no reader for it."""
    assert [path for path in SOURCES if any(name.startswith("recovery.error_codes") for name in imports(path))] == []


def test_the_page_is_what_the_catalogue_prints() -> None:
    assert (ROOT / "docs" / "errors.md").read_text() == as_markdown(), "python -m recovery.error_codes > docs/errors.md"


def test_a_code_is_the_last_line_of_its_error() -> None:
    error = errors.Refused("backing up", "no manager reports a leader", remedy="requorum status", code="no-leader")
    assert str(error).splitlines()[-1] == "  code: no-leader"
