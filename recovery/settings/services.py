"""What services keep, and how it is copied and restored."""

from typing import Annotated

from pydantic import StringConstraints

from recovery.errors import SettingError
from recovery.settings.base import Frozen

DockerName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$")]
Command = tuple[Annotated[str, StringConstraints(pattern=r"^[^\x00]+$")], ...]


class Data(Frozen):
    """What a service keeps: by a command that writes it to standard output and one that reads it back, or in a volume."""

    service: DockerName
    backup: Command = ()
    """Run without a shell in the container of a running task."""
    restore: Command = ()
    volume: DockerName | None = None
    """As the engine calls it: ``STACK_NAME`` where a stack made it."""

    def check(self, key: str) -> None:
        """That it can be both copied and restored. Raises: SettingError for ``key``."""
        given = bool(self.backup or self.restore)
        if given == (self.volume is not None):
            raise SettingError(
                key,
                "commands and a volume are given" if given else "neither commands nor a volume are given",
                remedy="give either `backup` and `restore`, each a list of words, or `volume`",
            )
        for name, command in (("backup", self.backup), ("restore", self.restore)):
            if given and not command:
                raise SettingError(
                    f"{key}.{name}",
                    "is not set, and a copy is worth nothing without the way back",
                    remedy="give `backup` and `restore`, each a list of words",
                )
