"""What runs on a node asks the node's own engine, whatever docker's contexts and variables of the login name."""

import ast
import re
from pathlib import Path

import pytest

from tests.layers import modules

CALLS = re.compile(r"(?:\$\(|\|\||&&|;|\b(?:do|then|if|while|until)\b|\btimeout [\d.]+)\s*docker\s")


@pytest.mark.parametrize(("name", "file"), [pytest.param(*one, id=one[0]) for one in modules()])
def test_no_script_leaves_the_engine_to_the_login(name: str, file: Path) -> None:
    texts = [node.value for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant)]
    assert [text for text in texts if isinstance(text, str) and CALLS.search(text)] == []


@pytest.mark.parametrize(
    "script", ["x=$(timeout 5 docker version)", "[ -z 1 ] || timeout 10 docker ps", "if docker info; then"]
)
def test_a_script_that_does_is_found(script: str) -> None:
    assert CALLS.search(script)
