"""The house keeps its layers: no arrow runs upward, no room grows an arrow too many, and deciding loads no client."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter

import pytest

from tests.layers import LAYERS, ROOT, WITHOUT_SETTINGS, arrows, imports, modules, room

LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MOST_ARROWS = 100
MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 50
CLIENTS = ("boto3", "asyncssh", "docker", "pyrage", "pydantic")


def test_every_room_has_its_layer() -> None:
    assert {room(name) for name, _ in modules()} == LEVEL.keys()


def test_no_arrow_runs_upward_or_sideways() -> None:
    wrong = {pair: uses for pair, uses in arrows().items() if LEVEL[pair[1]] >= LEVEL[pair[0]]}
    assert wrong == {}


def test_what_a_node_carries_knows_no_settings() -> None:
    assert {
        pair: uses for pair, uses in arrows().items() if pair[0] in WITHOUT_SETTINGS and pair[1] == "settings"
    } == {}


def test_no_two_files_need_each_other() -> None:
    files = dict(modules())
    needs = {
        name: {target if target in files else target.rpartition(".")[0] for target in imports(file)} - {name}
        for name, file in files.items()
    }
    TopologicalSorter(needs).prepare()


def test_the_arrows_are_few() -> None:
    assert len(arrows()) <= MOST_ARROWS


@pytest.mark.parametrize("folder", ["planning", "pipeline"])
def test_deciding_loads_no_client(folder: str) -> None:
    program = (
        f"import importlib, json, pkgutil, sys, recovery.{folder} as package\n"
        "for module in pkgutil.iter_modules(package.__path__):\n"
        "    importlib.import_module(f'{package.__name__}.{module.name}')\n"
        f"print(json.dumps([len(sys.modules), [name for name in {CLIENTS!r} if name in sys.modules]]))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded, clients = json.loads(done.stdout)
    assert loaded > 10
    assert clients == []


def too_long() -> Iterator[str]:
    """Files and functions of the product beyond the limits."""
    for _, file in modules():
        text, path = file.read_text(), file.relative_to(ROOT)
        if len(text.splitlines()) > MOST_LINES:
            yield f"{path}"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= MOST_LINES_OF_A_FUNCTION:
                yield f"{path}: {node.name}"


def test_files_and_functions_are_short() -> None:
    assert not set(too_long())


def test_files_of_tests_are_short() -> None:
    lines = {f"{file.relative_to(ROOT)}": len(file.read_text().splitlines()) for file in ROOT.glob("tests/**/*.py")}
    assert len(lines) > 100
    assert not {file for file, count in lines.items() if count > MOST_LINES}
