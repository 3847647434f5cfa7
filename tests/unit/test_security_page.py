"""The page on security names attacks that are tests, and every finding of a kind has one."""

import ast
import re
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs/security.md").read_text()


def functions(file: Path) -> set[str]:
    return {node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)}


def test_each_attack_on_the_page_is_a_test() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)
    assert len(named) > 30
    assert [one for one in named if one[1] not in (functions(PROJECT / one[0]) | {""})] == []


def test_each_actor_with_attacks_is_on_the_page() -> None:
    """A file of attacks that nobody finds from the page is run, and read by nobody."""
    files = {file.name for file in (PROJECT / "tests/adversary").glob("test_*.py")}
    assert {name for name in files if f"tests/adversary/{name}" not in PAGE} == set()
