"""The version of the Docker engine that every node is to have, and how a node gets it."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

from recovery.settings.base import Frozen

VERSION = re.compile(r"\d{1,4}(\.\d{1,4}){0,2}")


def _version(value: Any) -> str:
    """A number without quotes would lose its last zero: 28.10 is 28.1."""
    if not isinstance(value, str) or not VERSION.fullmatch(value):
        raise ValueError('give a version in quotes, such as "28", "28.0" or "28.0.4"')
    return value


class Engine(Frozen):
    """The wanted version of the engines, and the operator's command that upgrades the engine of a node."""

    version: Annotated[str, BeforeValidator(_version)]
    """The least version. A node with a later engine has it too."""
    command: str = ""
    """A line for the shell, run on a node as root. Without it, the machine is replaced by one that an update makes."""
