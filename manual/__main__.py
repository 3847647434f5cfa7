"""``python -m manual`` writes the pages of the reference into docs/. ``python -m manual site`` builds the site (`make docs`)."""

import sys

from manual import reference, site


def main(*words: str) -> int:
    """Write the pages, or build the site; the exit status."""
    if words == ("site",):
        return site.build()
    for page, text in reference.pages().items():
        page.parent.mkdir(exist_ok=True)
        page.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
