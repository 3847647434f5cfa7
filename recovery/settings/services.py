"""The data of services, and how it is copied and restored."""

from typing import Annotated

from pydantic import StringConstraints

from recovery.errors import SettingError
from recovery.settings.base import Frozen

DockerName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$")]
Command = tuple[Annotated[str, StringConstraints(pattern=r"^[^\x00]+$")], ...]


class Data(Frozen):
    """The data of a service: in a volume, or read and written by a backup and a restore command."""

    service: DockerName
    backup: Command = ()
    """Run without a shell in the container of a running task."""
    restore: Command = ()
    volume: DockerName | None = None
    """The engine's name of the volume: ``STACK_NAME`` if a stack made it."""

    def check(self, key: str) -> None:
        """Check that the data can be both copied and restored. Raises: SettingError for ``key``."""
        given = bool(self.backup or self.restore)
        if given == (self.volume is not None):
            raise SettingError(
                key,
                "has both commands and a volume" if given else "has neither commands nor a volume",
                remedy="give either `volume`, or `backup` and `restore`, each a list of arguments",
                code="setting-invalid",
            )
        for name, command in (("backup", self.backup), ("restore", self.restore)):
            if given and not command:
                raise SettingError(
                    f"{key}.{name}",
                    "is not set, and data that is copied must also be restorable",
                    remedy="give `backup` and `restore`, each a list of arguments",
                    code="setting-missing",
                )
