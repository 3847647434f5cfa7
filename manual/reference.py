"""Every page that is made of the code, and where it is."""

from collections.abc import Mapping
from pathlib import Path

from manual import alerts, commands, decisions, metrics, pictures, settings

DOCS = Path(__file__).resolve().parents[1] / "docs"


def pages() -> Mapping[Path, str]:
    """The text of each page, by its file."""
    return {
        DOCS / "reference/options.md": commands.page(),
        DOCS / "reference/settings.md": settings.page(),
        DOCS / "reference/metrics.md": metrics.page(),
        DOCS / "reference/alerts.md": alerts.page(DOCS / "alerts.yml"),
        DOCS / "decisions/README.md": decisions.page(DOCS / "decisions"),
        **{DOCS / f"concepts/{name}.svg": pictures.svg(one) for name, one in pictures.PICTURES.items()},
    }
