"""What Pulumi makes of a stack file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from recovery.settings import PROJECT

PULUMI_YAML = Path(__file__).resolve().parent.parent.parent / "Pulumi.yaml"


def configuration(raw: Mapping[str, Any]) -> dict[str, str]:
    """The stack file's values as Pulumi gives them to a program, with the defaults of Pulumi.yaml."""
    declared = yaml.safe_load(PULUMI_YAML.read_text())["config"]
    defaults = {key: one["default"] for key, one in declared.items() if "default" in one}
    values = {**defaults, **{key: value for key, value in raw.items() if value is not None}}
    return {f"{PROJECT}:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
