"""What a request may change in a stack file that a job with credentials previews. Pure.

A stack file is code: it names commands, engines, files and keys of the machine that reads it, and where an encryption key is sent.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from recovery.pipeline.consent_line import config_of
from recovery.yaml_text import load

FIXED = frozenset({"requorum:hosts", "requorum:ssh"})
"""They name commands, engines and SSH keys, and a file of OpenSSH, which names commands too."""
NAMES = frozenset({"endpoint", "file", "identities", "reportPage", "stacks"})
"""Beside what ends with `File`: the keys within a setting that name a server or a file. The stacks of a workload are files by name."""
OURS = re.compile("requorum:[^:]+")
"""A key of ours. Pulumi also reads `requorum:config:NAME`, which nobody needs to write."""


def beyond(main: str, request: str) -> tuple[str, ...]:
    """The keys that a request changes, and that only main may name. Raises: ValueError if a text is no stack file."""
    try:
        return _beyond(main, request)
    except RecursionError:
        raise ValueError("a value of it is nested too deeply") from None


def _beyond(main: str, request: str) -> tuple[str, ...]:
    ours, theirs = config_of(main), config_of(request)
    outside = _others(main), _others(request)
    changed = [key for key in sorted({*outside[0], *outside[1]}) if outside[0].get(key) != outside[1].get(key)]
    for key in sorted({*ours, *theirs}):
        before, after = _read(ours.get(key)), _read(theirs.get(key))
        if key in FIXED or not OURS.fullmatch(key):
            changed += [key] if before != after else []
        else:
            named, wanted = (dict(_named({key.removeprefix("requorum:"): one})) for one in (before, after))
            changed += [f"requorum:{path}" for path in sorted({*named, *wanted}) if named.get(path) != wanted.get(path)]
    return tuple(changed)


def _others(text: str) -> dict[str, Any]:
    """What a stack file has beside its settings."""
    document: dict[str, Any] = load(text)
    return {str(key): value for key, value in document.items() if key != "config"}


def _read(value: Any) -> Any:
    """A setting, which may be the text of an object or a list. JSON with tabs is no YAML."""
    if isinstance(value, str):
        for read in (json.loads, load):
            try:
                found = read(value)
            except ValueError:
                continue
            if isinstance(found, dict | list):
                return found
    return value


def _named(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The values within a setting that name a file or a server, by path. A node in a list is found by its name."""
    if isinstance(value, dict):
        for key, one in value.items():
            where = f"{path}.{key}".lstrip(".")
            if str(key).endswith("File") or key in NAMES:
                yield where, one
            else:
                yield from _named(one, where)
    elif isinstance(value, list):
        for number, one in enumerate(value):
            at = one.get("name") or one.get("address") if isinstance(one, dict) else None
            yield from _named(one, f"{path}[{at or number}]")
