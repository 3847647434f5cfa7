"""The agents, which take copies without an operator."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Self

from pydantic import Field, model_validator

from recovery.errors import SettingError
from recovery.settings.base import Frozen, collected


class Agent(Frozen):
    """The agent on each manager, which takes copies on schedule and after each change."""

    schedule: str = Field("hourly", pattern=r"^[^\n]+$")
    """When each manager takes a copy whether anything changed or not: a calendar expression of systemd."""
    on_change: bool = True
    credentials_file: Path | None = None
    """The nodes' own credentials for S3, in an AWS shared credentials file; ``{name}`` stands for the manager's name.

    None: boto3's chain on the node, such as its role.
    """
    metrics_folder: PurePosixPath | None = None
    """On the nodes; where a Prometheus node exporter reads text files."""
    spool_copies: int = Field(50, ge=1)
    spool_megabytes: int = Field(1024, ge=1)
    """What a node keeps while S3 takes nothing; 10**6 bytes."""

    @property
    def has_own_credentials(self) -> bool:
        """Whether each manager has credentials of its own."""
        return "{name}" in str(self.credentials_file)

    def credentials_of(self, manager: str) -> Path | None:
        """The file with the credentials of one manager."""
        return Path(str(self.credentials_file).replace("{name}", manager)) if self.credentials_file else None

    @model_validator(mode="after")
    @collected
    def _check(self) -> Self:
        if self.metrics_folder and not self.metrics_folder.is_absolute():
            why = f"{self.metrics_folder} is not an absolute path"
            raise SettingError(
                "agent.metricsFolder", why, remedy="give a path that starts with /", code="setting-invalid"
            )
        return self


def with_retention(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, unchecked, with the default retention where an agent is configured and `backup` does not name `retention`.

    An agent takes many copies. With `retention: null`, nothing is ever pruned.
    """
    backup = raw.get("backup")
    if raw.get("agent") is None or not isinstance(backup, Mapping) or "retention" in backup:
        return dict(raw)
    return {**raw, "backup": {**backup, "retention": {}}}
