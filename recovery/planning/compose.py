"""What a compose file describes, and what another version of it changes. Values of it may be secret: only digests are kept."""

import json
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any

from yaml import SafeLoader

from recovery.errors import SettingError
from recovery.yaml_text import NotYaml, load

SECTIONS = ("services", "networks", "volumes", "secrets", "configs")
UNCHANGEABLE = ("secrets", "configs")
"""What the swarm does not change. The content needs another name."""
VARIABLE = re.compile(r"(?<!\$)(?:\$\$)*\$(?:\{|[A-Za-z_])")
"""A variable, and not the `$$` that stands for one `$`."""
DIGITS = 16
CONTENT = "content of the file"
"""What a secret or config holds, wherever its file is. No key of a compose file; earlier releases did not keep it."""

Digests = Mapping[str, Mapping[str, str]]
"""A digest of each key of each part, such as of `image` of `services.web`."""


def parsed(key: str, text: str) -> Mapping[str, Any]:
    """The parts of a compose file. Raises: SettingError for ``key``, the setting that names the file."""
    try:
        document = load(text, SafeLoader)
    except NotYaml as error:
        raise _fault(key, f"its file is not valid YAML: {error}", "correct the file") from None
    if not isinstance(document, dict) or not isinstance(document.get("services"), dict) or not document["services"]:
        raise _fault(key, "its file has no services", "name a compose file with services")
    if VARIABLE.search(text):
        raise _fault(
            key,
            "its file has variables, which the manager does not have",
            "write the values, and $$ for a $, or name the output of: docker stack config -c FILE",
        )
    for section in SECTIONS:
        parts = document.get(section) or {}
        if not isinstance(parts, dict) or not all(isinstance(one, dict) or one is None for one in parts.values()):
            raise _fault(key, f"{section} in its file has no names with keys", "correct the file")
    return document


def files(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """The files that it names, in its folder or below. Raises: SettingError for another place."""
    found = sorted(set(_named(document)))
    for file in found:
        path = PurePosixPath(file)
        if path.is_absolute() or ".." in path.parts:
            raise _fault(key, f"its file names {file}, outside its folder", "put the file next to the compose file")
    return tuple(found)


def digests(document: Mapping[str, Any], contents: Mapping[str, bytes]) -> Digests:
    """What tells one version from another. ``contents`` are the files' by their names."""
    made: dict[str, dict[str, str]] = {}
    for section in SECTIONS:
        for name, part in (document.get(section) or {}).items():
            made[f"{section}.{name}"] = {
                key: _digest([value, *(_digest(contents[file].hex()) for file in _files_of(value) if file in contents)])
                for key, value in (part or {}).items()
            }
            file = next(_files_of((part or {}).get("file")), "")
            if section in UNCHANGEABLE and file in contents:
                made[f"{section}.{name}"][CONTENT] = _digest(contents[file].hex())
    return made


def changes(stack: str, before: Digests, after: Digests) -> tuple[str, ...]:
    """What a deployment changes, a line each, as a preview shows it."""
    lines = [f"stack {stack}: + {part}" for part in sorted(after.keys() - before.keys())]
    for part in sorted(after.keys() & before.keys()):
        old, new = before[part], after[part]
        if keys := sorted(key for key in (old.keys() | new.keys()) - {CONTENT} if old.get(key) != new.get(key)):
            lines.append(f"stack {stack}: ~ {part} ({', '.join(keys)})")
    for part in sorted(before.keys() - after.keys()):
        pruned = part.startswith("services.")
        lines.append(
            f"stack {stack}: - {part}" + ("" if pruned else " (stays in the swarm: docker removes only services)")
        )
    return tuple(lines)


def unchangeable(before: Digests, after: Digests) -> tuple[str, ...]:
    """The secrets and configs that have another content under the same name, which the swarm would refuse halfway."""
    return tuple(
        part
        for part in sorted(after.keys() & before.keys())
        if part.startswith(UNCHANGEABLE)
        and _has_another_content(before[part], after[part])
        and before[part].get("name") == after[part].get("name")
    )


def _has_another_content(before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Whether a secret or config does. The state of an earlier release only has a digest of path and content."""
    key = CONTENT if CONTENT in before and CONTENT in after else "file"
    return before.get(key) != after.get(key)


def _named(document: Mapping[str, Any]) -> Iterator[str]:
    for section in UNCHANGEABLE:
        for part in (document.get(section) or {}).values():
            yield from _files_of((part or {}).get("file"))
    for service in document["services"].values():
        for file in _listed((service or {}).get("env_file")):
            yield from _files_of(file)


def _files_of(value: Any) -> Iterator[str]:
    """The names of files that the value of a key may be."""
    for one in _listed(value):
        if isinstance(one, str) and one:
            yield str(PurePosixPath(one))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _digest(value: Any) -> str:
    return sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:DIGITS]


def _fault(key: str, why: str, remedy: str) -> SettingError:
    return SettingError(key, why, remedy=remedy, code="compose-invalid")
