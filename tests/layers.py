"""The rooms of the code, what each may import, and what each does import. `python -m tests.layers` prints the arrows."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAYERS = (
    ("ground",),
    ("swarm",),
    ("s3", "onnode"),
    ("node", "settings"),
    ("copies",),
    ("survey", "planning", "agent"),
    ("steps", "data"),
    ("operations",),
    ("cli", "components"),
)
"""From the ground up. A room imports from the layers below its own. Rooms of one layer do not know each other."""
WITHIN_A_LAYER = {("node", "onnode"), ("settings", "s3"), ("node", "settings")} - {("node", "settings")}
SETTINGS_FREE = ("node", "agent")
"""Rooms that a node carries, and nodes have no settings."""


def room(module: str) -> str:
    """The room of a module by its dotted name; the modules directly in `recovery` are the ground."""
    parts = module.split(".")
    if parts[0] == "components":
        return "components"
    return parts[1] if len(parts) > 1 and (ROOT / "recovery" / parts[1]).is_dir() else "ground"


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the product with its file."""
    for top in ("recovery", "components"):
        for file in sorted((ROOT / top).rglob("*.py")):
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__"), file


def imports(file: Path) -> Iterator[str]:
    """The product's modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def arrows() -> Mapping[tuple[str, str], list[str]]:
    """Each pair of rooms of which the first imports from the second, with the imports."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, file in modules():
        if name == "recovery.__main__":
            continue
        for target in imports(file):
            if target.split(".")[0] in ("recovery", "components"):
                pair = (room(name), room(target))
                if pair[0] != pair[1]:
                    found.setdefault(pair, []).append(f"{name} -> {target}")
    return found


if __name__ == "__main__":
    level = {r: i for i, layer in enumerate(LAYERS) for r in layer}
    all_arrows = arrows()
    for pair, uses in sorted(all_arrows.items()):
        up = level[pair[1]] >= level[pair[0]]
        print(f"{'UP ' if up else '   '}{pair[0]:11} -> {pair[1]:11} {len(uses):3}")
        if up:
            for u in uses:
                print("          ", u)
    print(len(all_arrows), "arrows")
