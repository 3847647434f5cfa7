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

    Raises: SettingError for the first thing that is wrong.
    """
    for key in ("cluster", "subnet", "managers", "hosts", "ssh", "backup"):
        if raw.get(key) in (None, "", [], {}):
            raise SettingError(key, "is not set", remedy=f"set it in the stack file; {EXAMPLE} explains it")
    try:
        return Settings.model_validate(dict(raw))
    except ValidationError as error:
        first = error.errors()[0]
        key = _path(first["loc"])
        remedy = f"correct it in the stack file; {EXAMPLE} explains requorum:{key.split('.')[0].split('[')[0]}"
        raise SettingError(key, _reason(first), remedy=remedy) from None


def load(stack_file: Path) -> Settings:
    """Settings of a stack file, read without Pulumi.

    Raises: SettingError when the file is missing, is not YAML, or holds a wrong value.
    """
    try:
        document = yaml.safe_load(stack_file.read_text()) or {}
    except FileNotFoundError:
        raise SettingError(
            "(stack file)", f"{stack_file} does not exist", remedy="name the stack with --stack or PULUMI_STACK"
        ) from None
    except OSError as error:
        raise SettingError(
            "(stack file)", f"{stack_file}: {error.strerror}", remedy="name a readable stack file"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingError("(stack file)", f"{stack_file} is not YAML: {error}", remedy="correct the file") from None
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise SettingError("(stack file)", f"{stack_file} has no `config:` with settings", remedy=f"see {EXAMPLE}")
    prefix = f"{PROJECT}:"
    return parse({str(key).removeprefix(prefix): value for key, value in config.items() if str(key).startswith(prefix)})


def from_strings(values: Mapping[str, str]) -> Settings:
    """Settings from Pulumi's configuration, where structured values are JSON text and scalars are strings."""
    return parse({key: _decode(value) for key, value in values.items()})


def _decode(value: str) -> Any:
    """Only lists and maps are JSON text; `42` or `true` may be meant as a string, and the model converts what is not."""
    if not value.startswith(("[", "{")):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _path(location: tuple[int | str, ...]) -> str:
    parts = (part for part in location if part != "[key]")  # pydantic's word for the key of a map itself
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")


def _reason(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "is not a known key"
    if error["type"] == "missing":
        return "is missing"
    return f"{error['msg']} (got {error['input']!r})"
