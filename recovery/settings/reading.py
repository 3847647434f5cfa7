"""Reads settings: from a stack file, or as Pulumi gives them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from recovery.errors import SettingError
from recovery.settings.base import EXAMPLE, PROJECT
from recovery.settings.cluster import Settings


def parse(raw: Mapping[str, Any]) -> Settings:
    """Settings from plain values, keys in camel case.

    Raises: SettingError for the first fault.
    """
    for key in ("cluster", "subnet", "managers", "hosts", "ssh", "backup"):
        if raw.get(key) in (None, "", [], {}):
            raise SettingError(
                key, "is not set", remedy=f"set it in the stack file as {EXAMPLE} shows", code="setting-missing"
            )
    try:
        return Settings.model_validate(dict(raw))
    except ValidationError as error:
        raise _fault(error.errors()[0]) from None


def load(stack_file: Path) -> Settings:
    """Settings of a stack file, read without Pulumi. Raises: as `read`; SettingError when it holds a wrong value."""
    return parse(read(stack_file))


def read(stack_file: Path) -> dict[str, Any]:
    """The values of a stack file, as they are written there, by key.

    Raises: SettingError when the file is missing, is not YAML, or has no settings.
    """
    try:
        document = yaml.safe_load(stack_file.read_text()) or {}
    except FileNotFoundError:
        raise SettingError(
            "(stack file)",
            f"{stack_file} does not exist",
            remedy="name the stack with --stack or PULUMI_STACK",
            code="unreadable-file",
        ) from None
    except OSError as error:
        raise SettingError(
            "(stack file)",
            f"{stack_file}: {error.strerror}",
            remedy="name a readable stack file",
            code="unreadable-file",
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingError(
            "(stack file)",
            f"{stack_file} is not valid YAML: {error}",
            remedy="correct the file",
            code="unreadable-file",
        ) from None
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise SettingError(
            "(stack file)",
            f"{stack_file} has no `config:` with settings",
            remedy=f"write the settings as {EXAMPLE} shows",
            code="unreadable-file",
        )
    prefix = f"{PROJECT}:"
    return {str(key).removeprefix(prefix): value for key, value in config.items() if str(key).startswith(prefix)}


def from_strings(values: Mapping[str, str]) -> Settings:
    """Settings from Pulumi's configuration, where structured values are JSON text and scalars are strings."""
    return parse(decoded(values))


def decoded(values: Mapping[str, str]) -> dict[str, Any]:
    """Pulumi's configuration as plain values."""
    return {key: _decode(value) for key, value in values.items()}


def _decode(value: str) -> Any:
    """Decode only lists and maps from JSON: `42` or `true` may be a string, and the model converts other values."""
    if not value.startswith(("[", "{")):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _fault(error: Any) -> SettingError:
    """One error of pydantic, in our words."""
    key = _path(error["loc"])
    if error["type"] == "extra_forbidden":
        remedy = f"remove it, or use a key of {EXAMPLE}"
        return SettingError(key, "is not a known key", remedy=remedy, code="setting-unknown-key")
    if error["type"] == "missing":
        remedy = f"set it in the stack file as {EXAMPLE} shows"
        return SettingError(key, "is missing", remedy=remedy, code="setting-missing")
    why = f"{error['msg'].removeprefix('Value error, ')} (got {error['input']!r})"
    return SettingError(key, why, remedy="correct it in the stack file", code="setting-invalid")


def _path(location: tuple[int | str, ...]) -> str:
    parts = (part for part in location if part != "[key]")  # pydantic's name for the key of a map itself
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")
