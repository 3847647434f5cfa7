"""Reads settings: from a stack file, or as Pulumi gives them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from recovery import yaml_text
from recovery.errors import SettingError, SettingErrors
from recovery.settings.base import EXAMPLE, Faulty
from recovery.settings.cluster import Settings
from recovery.settings.keys import corrected, known_keys, nearest
from recovery.settings.project import ours

REQUIRED = ("cluster", "subnet", "managers", "hosts", "ssh", "backup")
SECRET = ("workload",)
"""Where values may be secret, and are not shown."""
NOTHING: tuple[Any, ...] = (None, "", [], {})


def parse(raw: Mapping[str, Any]) -> Settings:
    """Settings from plain values, keys in camel case.

    Raises: SettingError; SettingErrors if there are several faults.
    """
    values = {key: value for key, value in raw.items() if key not in REQUIRED or value not in NOTHING}
    faults = [_missing(key) for key in REQUIRED if key not in values]
    while True:
        try:
            settings = Settings.model_validate(values)
        except ValidationError as error:
            found = error.errors()
        else:
            break
        faults += [fault for one in found for fault in _faults(one)]
        unknown = [one["loc"] for one in found if one["type"] == "extra_forbidden"]
        if not unknown:
            break
        values = corrected(values, unknown)  # behind them pydantic checks no more
    if not faults:
        return settings
    told = list({(fault.key, fault.why): fault for fault in _without_misspelt(faults)}.values())
    if len(told) == 1:
        raise told[0]
    raise SettingErrors(told, remedy="correct them, then run the same command again", code="settings-invalid")


def load(stack_file: Path) -> Settings:
    """Settings of a stack file, read without Pulumi. Raises: as `read`; SettingError when it holds a wrong value."""
    return parse(read(stack_file))


def read(stack_file: Path, project: str = "") -> dict[str, Any]:
    """The values of a stack file, as they are written there, by key. ``project`` is the name of its project, if that is known.

    Raises: SettingError when the file is missing, is not YAML, or has no settings.
    """
    try:
        document = yaml_text.load(stack_file.read_text()) or {}
    except FileNotFoundError:
        raise SettingError(
            "(stack file)",
            f"{stack_file} does not exist",
            remedy=name_one(stack_file.parent),
            code="unreadable-file",
        ) from None
    except OSError as error:
        raise SettingError(
            "(stack file)",
            f"{stack_file}: {error.strerror}",
            remedy="name a readable stack file",
            code="unreadable-file",
        ) from None
    except (yaml_text.NotYaml, UnicodeDecodeError) as error:
        why = error if isinstance(error, yaml_text.NotYaml) else "it is no text"
        raise SettingError(
            "(stack file)",
            f"{stack_file} is not valid YAML: {why}",
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
    return ours(config, project)


def name_one(folder: Path) -> str:
    """How to name a stack whose file is in the folder, or how to write the first one."""
    example = Path(EXAMPLE).name
    files = sorted(file.name for file in folder.glob("Pulumi.*.yaml") if file.name != example)
    if not files:
        return "write the first stack file: requorum init --stack NAME"
    stacks = ", ".join(name.removeprefix("Pulumi.").removesuffix(".yaml") for name in files)
    return f"name one of these stacks with --stack or PULUMI_STACK: {stacks}"


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


def _faults(error: Any) -> Iterator[SettingError]:
    """One error of pydantic, in our words."""
    key = _path(error["loc"])
    held = error.get("ctx", {}).get("error")
    if isinstance(held, Faulty):
        yield from held.errors
    elif error["type"] == "extra_forbidden":
        *above, name = error["loc"]
        near = nearest(str(name), known_keys(above))
        known = f"use one of {', '.join(known_keys(()))}" if not above else f"use a key of {EXAMPLE}"
        remedy = f"rename it to {_path((*above, near))}" if near else f"remove it, or {known}"
        yield SettingError(key, "is not a known key", remedy=remedy, code="setting-unknown-key")
    elif error["type"] == "missing":
        yield _missing(key)
    elif error["type"] == "model_type":
        yield SettingError(key, "is not a map", remedy=f"write its keys as {EXAMPLE} shows", code="setting-invalid")
    else:
        got = "" if error["loc"][:1] == SECRET else f" (got {error['input']!r})"
        why = error["msg"].removeprefix("Value error, ") + got
        yield SettingError(key, why, remedy="correct it in the stack file", code="setting-invalid")


def _missing(key: str) -> SettingError:
    return SettingError(
        key, "is not set", remedy=f"set it in the stack file as {EXAMPLE} shows", code="setting-missing"
    )


def _without_misspelt(faults: Sequence[SettingError]) -> list[SettingError]:
    """The faults, without the keys that are missing because they are misspelt."""
    renamed = {fault.remedy.removeprefix("rename it to ") for fault in faults if fault.code == "setting-unknown-key"}
    return [fault for fault in faults if fault.code != "setting-missing" or fault.key not in renamed]


def _path(location: Sequence[int | str]) -> str:
    parts = (part for part in location if part != "[key]")  # pydantic's name for the key of a map itself
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")
