"""The list of decisions, made of their titles."""

from pathlib import Path

HEAD = """# Decisions

Each page has the context of a hard choice, the decision, its consequences, and what was rejected. `python -m manual` writes this list.
"""


def page(folder: Path) -> str:
    """The page."""
    pages = sorted(folder.glob("[0-9]*.md"))
    titles = {one.name: one.read_text().partition("\n")[0].removeprefix("# ") for one in pages}
    return "\n".join([HEAD, *(f"- [{title}]({name})" for name, title in titles.items())]) + "\n"
