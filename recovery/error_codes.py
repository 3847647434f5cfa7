"""The codes of errors, and what each means to an operator. `python -m recovery.error_codes` prints docs/errors.md."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ErrorCode:
    """One kind of failure, in words for the operator who meets it."""

    meaning: str
    """What Requorum found."""
    cause: str
    """Why that happens, and why Requorum stops there."""
    action: str
    """What to do about it."""


CATALOGUE = Path(__file__).with_suffix(".toml")
"""The words of each code."""
CODES: Mapping[str, ErrorCode] = {
    code: ErrorCode(**entry) for code, entry in tomllib.loads(CATALOGUE.read_bytes().decode()).items()
}


def as_markdown() -> str:
    """The page docs/errors.md: a section for each code."""
    head = "# Errors\n\nEvery error message ends with one of these codes. `--json` shows it as `code`.\n"
    sections = (
        f"\n## {code}\n\n{entry.meaning}\n\n- **Why:** {entry.cause}\n- **What to do:** {entry.action}\n"
        for code, entry in CODES.items()
    )
    return head + "".join(sections)


if __name__ == "__main__":
    print(as_markdown(), end="")
