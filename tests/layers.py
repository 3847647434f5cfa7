"""The rooms of the product, in layers, and the imports between them. `python -m tests.layers` prints the arrows.

A room is a package of `recovery`, or `components`. The modules directly in `recovery` are the ground.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAYERS = (
    ("ground",),
    ("swarm",),
    ("s3", "onnode", "forge"),
    ("node", "settings"),
    ("copies",),
    ("cluster",),
    ("survey", "planning", "agent"),
    ("steps", "data", "pipeline"),
    ("operations",),
    ("cli", "components"),
)
"""From the ground up. A room imports from the layers below its own, and from no room of its own layer."""
WITHOUT_SETTINGS = frozenset({"swarm", "s3", "onnode", "node", "agent"})
"""The rooms that are below the settings, or that a node carries. A node has no settings and no pydantic."""
DOORS = frozenset({"recovery.__main__"})
"""What only starts a door."""


def room(module: str) -> str:
    """The room of a module by its dotted name."""
    top, *rest = module.split(".")
    if top == "components":
        return top
    return rest[0] if rest and (ROOT / "recovery" / rest[0]).is_dir() else "ground"


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the product by its dotted name, with its file."""
    for top in ("recovery", "components"):
        for file in sorted((ROOT / top).rglob("*.py")):
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__"), file


def imports(file: Path) -> Iterator[str]:
    """What a file imports of the product, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        else:
            continue
        yield from (name for name in found if name.split(".")[0] in ("recovery", "components"))


def arrows() -> Mapping[tuple[str, str], tuple[str, ...]]:
    """Each pair of rooms of which the first imports from the second, with the imports."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for name, file in modules():
        for target in imports(file):
            pair = room(name), room(target)
            if pair[0] != pair[1] and name not in DOORS:
                found[pair] = (*found.get(pair, ()), f"{name} -> {target}")
    return found


if __name__ == "__main__":
    drawn = arrows()
    for (source, target), uses in sorted(drawn.items()):
        print(f"{source:10} -> {target:10} {len(uses):3} imports")
    print(f"{len(drawn)} arrows between rooms")
