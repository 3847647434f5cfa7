"""The page of the alerts that come with the project, made of their rules."""

import re
from pathlib import Path
from typing import Any

import yaml

from manual.text import cell, sentence, table

HEAD = """# Alerts

`python -m manual` writes this page from [alerts.yml](../alerts.yml), which Prometheus reads. [Monitoring](../monitoring.md) has the set-up.
"""


def rules(file: Path) -> list[dict[str, Any]]:
    """Every alert of the file."""
    return [rule for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"] if "alert" in rule]


def page(file: Path) -> str:
    """The page."""
    return "\n".join([HEAD, *table(("alert", "severity", "message", "fires when"), map(_row, rules(file)))]) + "\n"


def _row(rule: dict[str, Any]) -> tuple[str, str, str, str]:
    message = re.sub(r"{{ \$labels\.(\w+) }}", lambda label: label[1].upper(), rule["annotations"]["summary"])
    what, _, command = message.partition(": ")
    held = f" for {rule['for']}" if "for" in rule else ""
    expression = " ".join(rule["expr"].split()).replace("|", r"\|")
    said = f"{cell(what)}: `{command}`" if command else cell(what)
    return rule["alert"], rule["labels"]["severity"], sentence(said), f"`{expression}`{held}"
