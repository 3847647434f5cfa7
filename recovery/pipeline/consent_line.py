"""The line of a stack file that consents to a plan. Everything else in the file stays as a person wrote it."""

import re
from typing import Any

from recovery.yaml_text import NotYaml, load

KEY = "requorum:recover"
LINE = re.compile(rf"^(?P<indent> +)(?P<quote>['\"]?){KEY}(?P=quote) *:[^\r\n]*", re.M)
CONFIG = re.compile(r"^config: *(#[^\r\n]*)?(?=(?P<end>\r?\n|\Z))", re.M)
INDENT = re.compile(r"\r?\n(?:[ \t]*(?:#[^\r\n]*)?\r?\n)*( +)[^\s#]")
PLAN_ID = re.compile(r"r[0-9a-f]{16}")


def consented(text: str) -> str:
    """The plan ID that a stack file consents to; empty if it has none. `true` is no ID. Raises: ValueError."""
    given = str(config_of(text).get(KEY, ""))
    return given if PLAN_ID.fullmatch(given) else ""


def with_consent(text: str, plan_id: str) -> str:
    """The text of a stack file that consents to this plan, with the line ends that it has, of Windows too.

    Raises: ValueError if its form does not allow one more line.
    """
    line = f"{KEY}: {plan_id}"
    if LINE.search(text):
        changed = LINE.sub(lambda found: f"{found['indent']}{line}", text, count=1)
    elif head := CONFIG.search(text):
        found = INDENT.match(text, head.end())
        changed = f"{text[: head.end()]}{head['end']}{found[1] if found else '  '}{line}{text[head.end() :]}"
    else:
        raise ValueError("it has no line `config:`")
    return _checked(text, changed, {KEY: plan_id})


def without_consent(text: str) -> str:
    """The text of a stack file without the line. Raises: ValueError."""
    changed = re.sub(LINE.pattern + r"(\r?\n)?", "", text, count=1, flags=re.M)
    return _checked(text, changed, {})


def _checked(before: str, after: str, line: dict[str, str]) -> str:
    """The changed text. Raises: ValueError unless it differs from the old one by the line alone."""
    wanted = {key: value for key, value in config_of(before).items() if key != KEY} | line
    if config_of(after) != wanted:
        raise ValueError(f"{KEY} cannot be set on a line of its own")
    return after


def config_of(text: str) -> dict[str, Any]:
    """The settings in a stack file. Raises: ValueError."""
    try:
        document = load(text)
    except NotYaml as error:
        raise ValueError(f"it is not valid YAML: {error}") from None
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise ValueError("it has no settings")
    return config
