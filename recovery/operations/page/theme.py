"""The look of the pages: colours for light and dark, and how a template is drawn.

The style stands in the page. Its digest is the only one that the page's Content-Security-Policy allows: a page that
somebody else's text got into runs no script and loads nothing.
"""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recovery.plain import line
from recovery.planning.standing import Mark

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).with_name("templates")
LIGHT = {
    "page": "#ffffff",
    "card": "#f4f6f8",
    "ink": "#18202b",
    "soft": "#4a5563",
    "rule": "#ccd3db",
    "fine": "#00654c",
    "other": "#7d4a00",
    "silent": "#574aa0",
    "lost": "#ab1f2b",
    "back": "#1a5b9c",
}
DARK = {
    "page": "#11161d",
    "card": "#1b232d",
    "ink": "#e9eef4",
    "soft": "#aab6c3",
    "rule": "#3a4654",
    "fine": "#5ecfa6",
    "other": "#efb65a",
    "silent": "#bdaefa",
    "lost": "#ff938a",
    "back": "#84bdff",
}
GROUNDS = ("page", "card")
INKS = ("ink", "soft", *(str(mark) for mark in Mark))
"""What is written and drawn on each of the grounds. Beside each colour stand a shape and a word."""


def render(template: str, **values: Any) -> str:
    """A page from a template. Every text in ``values`` is shown as text, on one line."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # takes 0.1 s: only for who makes a page
    from markupsafe import Markup

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else line(str(value)),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style = _style()
    digest = b64encode(sha256(style.encode()).digest()).decode()
    made.globals["style"] = Markup(style)  # noqa: S704 - it is ours, and holds no value
    made.globals["policy"] = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return made


def _style() -> str:
    def variables(colours: dict[str, str]) -> str:
        return "".join(f"--{name}:{colour};" for name, colour in colours.items())

    light, dark = variables(LIGHT), variables(DARK)
    themes = f":root{{{light}}}\n@media screen and (prefers-color-scheme: dark){{:root{{{dark}}}}}\n"
    return themes + (TEMPLATES / "page.css").read_text()
