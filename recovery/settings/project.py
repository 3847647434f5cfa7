"""The project that `pulumi` finds in a folder: what it is called, where its stack files are, and the configuration of all its stacks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recovery.settings.base import PROJECT
from recovery.yaml_text import NotYaml, load

NAMES = ("Pulumi.yaml", "Pulumi.yml", "Pulumi.json")
"""What the file of a project is called."""


@dataclass(frozen=True)
class Project:
    """A project, as its file describes it."""

    name: str
    file: Path
    stacks: Path
    """The folder of the stack files (`stackConfigDir`)."""
    settings: Mapping[str, Any]
    """The values that its stacks have if their own files do not name the key: of ours, by key."""

    def stack_file(self, stack: str) -> Path:
        """The file of a stack, whether it exists or not."""
        return self.stacks / f"Pulumi.{stack}{self.file.suffix}"

    def stack_files(self) -> Iterator[Path]:
        """The files of its stacks that exist."""
        yield from sorted(self.stacks.glob(f"Pulumi.?*{self.file.suffix}"))


def project_of(folder: Path) -> Project | None:
    """The project of a folder, whose file is there or above, as Pulumi looks for it; None if there is none that can be read."""
    files = (one / name for one in (folder, *folder.parents) for name in NAMES)
    if (file := next((file for file in files if file.is_file()), None)) is None:
        return None
    try:
        document = load(file.read_text())
    except (OSError, NotYaml, UnicodeDecodeError):
        return None
    if not isinstance(document, Mapping):
        return None
    name, config = str(document.get("name", "")), document.get("config")
    given = ours(config, name) if isinstance(config, Mapping) else {}
    values = {key: found for key, one in given.items() if (found := _value(one)) is not None}
    return Project(name, file, file.parent / str(document.get("stackConfigDir") or ""), values)


def ours(config: Mapping[Any, Any], project: str = "") -> dict[str, Any]:
    """Our settings in the configuration of a project or stack. A key without a namespace has the name of its project."""
    found = {}
    for full, value in config.items():
        namespace, _, key = str(full).rpartition(":")
        if (namespace.removesuffix(":config") or project) == PROJECT:
            found[key] = value
    return found


def _value(given: Any) -> Any:
    """What a key of a project's file gives to its stacks: `value` or `default` of its description, or a value in place of one."""
    return given.get("value", given.get("default")) if isinstance(given, Mapping) else given
