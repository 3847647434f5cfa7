"""What runs on the swarm, as the program declares it: networks, secrets, configs and services, and stacks of compose files."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from recovery.errors import SettingError
from recovery.settings.base import Faults, Frozen
from recovery.settings.services import Command, DockerName

Duration = Annotated[str, StringConstraints(pattern=r"^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$")]
"""As Go writes durations: 10s, 1m30s."""
Labels = Mapping[str, str]
Encrypted = Mapping[Literal["secure"], str]
"""A value that Pulumi has encrypted (`pulumi config set --secret --path`), as the stack file holds it."""
Ratio = Annotated[float, Field(ge=0, le=1)]
Mode = Annotated[str, StringConstraints(pattern=r"^0?[0-7]{3}$")]
"""The rights of a file, as chmod takes them. A number without quotes would be another one to another reader of YAML."""
Port = Annotated[int, Field(ge=1, le=65535)]


class Network(Frozen):
    """An overlay network, or one that is there already and stays as it is."""

    id: str | None = None
    """The ID of a network that this program does not manage."""
    attachable: bool = False
    internal: bool = False
    encrypted: bool = False
    subnets: tuple[str, ...] = ()
    labels: Labels = Field(default_factory=dict)


class Content(Frozen):
    """A secret or a config. Its name in the swarm ends in a digest, because the swarm does not change one."""

    id: str | None = None
    """The ID of one that this program does not manage."""
    value: str | Encrypted | None = None
    file: Path | None = None
    labels: Labels = Field(default_factory=dict)

    def check(self, key: str) -> None:
        """Check that there is one source. Raises: SettingError for ``key``."""
        given = [name for name in ("id", "value", "file") if getattr(self, name) is not None]
        if len(given) != 1:
            raise SettingError(
                key,
                f"has {' and '.join(given)}" if given else "has no content",
                remedy="give one of `value`, `file` and `id`",
                code="setting-invalid",
            )


class Mounted(Frozen):
    """A secret or config in the containers of a service."""

    name: DockerName
    target: str | None = None
    """The file's name. Default: the name; for a config, /NAME."""
    uid: str = "0"
    gid: str = "0"
    mode: Mode = "0444"


class Mount(Frozen):
    """A volume, a folder of the node, or memory, in the containers of a service."""

    type: Literal["volume", "bind", "tmpfs"] = "volume"
    source: str = ""
    target: str
    read_only: bool = False


class Published(Frozen):
    """A port: by the routing mesh on each node (`ingress`), or on the nodes that run a task (`host`)."""

    target: Port
    published: Port | None = None
    protocol: Literal["tcp", "udp", "sctp"] = "tcp"
    mode: Literal["ingress", "host"] = "ingress"


class Amount(Frozen):
    """CPUs and bytes of memory."""

    cpus: float | None = Field(None, gt=0)
    memory: int | None = Field(None, gt=0)


class Restart(Frozen):
    """When the swarm replaces a task that ended."""

    condition: Literal["none", "on-failure", "any"] = "any"
    delay: Duration = "5s"
    max_attempts: int = Field(0, ge=0)
    window: Duration = "0s"


class Healthcheck(Frozen):
    """How a container is asked whether it is healthy. An update waits until it is."""

    test: Command
    interval: Duration = "0s"
    timeout: Duration = "0s"
    start_period: Duration = "0s"
    retries: int = Field(0, ge=0)


class Rolling(Frozen):
    """How the tasks of a service are replaced."""

    parallelism: int = Field(1, ge=0)
    """Tasks at the same time; 0 is all of them."""
    delay: Duration = "0s"
    monitor: Duration = "5s"
    """How long a new task is watched for a failure."""
    max_failure_ratio: Ratio = 0
    order: Literal["stop-first", "start-first"] = "stop-first"


class Update(Rolling):
    """How the tasks of a service are replaced when its definition changes."""

    failure_action: Literal["pause", "continue", "rollback"] = "pause"


class Rollback(Rolling):
    """How the tasks of a service are replaced when it goes back to its previous definition."""

    failure_action: Literal["pause", "continue"] = "pause"


class Service(Frozen):
    """One service. The names are those of `docker service create`.

    None for `restart`, `stop_grace_period`, `update` or `rollback` leaves it out of the service, as `docker service create`
    does without such an option. `limits` and `reservations` without content are what it gives a service then. A service that was
    imported may need that: an option that is given replaces its tasks, even if it says what the swarm does anyway.
    """

    image: str
    command: Command = ()
    """The entry point, in place of the image's."""
    args: Command = ()
    env: Mapping[str, str | Encrypted] = Field(default_factory=dict)
    user: str = ""
    dir: str = ""
    hostname: str = ""
    read_only: bool = False
    init: bool | None = None
    labels: Labels = Field(default_factory=dict)
    container_labels: Labels = Field(default_factory=dict)
    networks: tuple[DockerName, ...] = ()
    secrets: tuple[DockerName | Mounted, ...] = ()
    configs: tuple[DockerName | Mounted, ...] = ()
    mounts: tuple[Mount, ...] = ()
    ports: tuple[Published, ...] = ()
    endpoint_mode: Literal["vip", "dnsrr"] = "vip"
    mode: Literal["replicated", "global"] = "replicated"
    replicas: int | None = Field(None, ge=0)
    """None is one, for a replicated service."""
    constraints: tuple[str, ...] = ()
    spread: tuple[str, ...] = ()
    """Node labels over whose values the tasks are spread (`--placement-pref spread=…`)."""
    max_replicas_per_node: int = Field(0, ge=0)
    limits: Amount | None = None
    reservations: Amount | None = None
    restart: Restart | None = Restart()
    healthcheck: Healthcheck | None = None
    stop_signal: str = ""
    stop_grace_period: Duration | None = "10s"
    update: Update | None = Update()
    rollback: Rollback | None = Rollback()

    @property
    def count(self) -> int:
        """How many tasks a replicated service has."""
        return 1 if self.replicas is None else self.replicas

    def mounted(self, kind: Literal["secrets", "configs"]) -> Iterator[Mounted]:
        """Its secrets or configs, with their defaults."""
        for one in getattr(self, kind):
            yield Mounted(name=one) if isinstance(one, str) else one

    def check(self, key: str) -> None:
        """Check what no single key shows. Raises: SettingError for ``key``."""
        if self.mode == "global" and self.replicas is not None:
            raise SettingError(
                f"{key}.replicas",
                "is set, and a global service has one task on each node",
                remedy="remove it, or set `mode: replicated`",
                code="setting-invalid",
            )
        if self.endpoint_mode == "dnsrr" and any(port.mode == "ingress" for port in self.ports):
            raise SettingError(
                f"{key}.ports",
                "are published by the routing mesh, which needs a virtual IP, and `endpointMode` is dnsrr",
                remedy="set `mode: host` for each port, or `endpointMode: vip`",
                code="setting-invalid",
            )


class Workload(Frozen):
    """Everything that the program runs on the swarm, by name."""

    networks: Mapping[DockerName, Network] = Field(default_factory=dict)
    secrets: Mapping[DockerName, Content] = Field(default_factory=dict)
    configs: Mapping[DockerName, Content] = Field(default_factory=dict)
    services: Mapping[DockerName, Service] = Field(default_factory=dict)
    stacks: Mapping[DockerName, Path] = Field(default_factory=dict)
    """Compose files, by the name of the stack."""

    def find_faults(self, key: str, faults: Faults) -> None:
        """Collect what is wrong, by its key."""
        for kind in ("secrets", "configs"):
            for name, content in getattr(self, kind).items():
                faults.find(content.check, f"{key}.{kind}.{name}")
        for name, service in self.services.items():
            faults.find(service.check, f"{key}.services.{name}")
            for kind, used in self._used(service):
                faults.find(self._require, f"{key}.services.{name}.{kind}", kind, used)
        faults.find(self._require_own_ports, key)

    @staticmethod
    def _used(service: Service) -> Iterator[tuple[str, str]]:
        yield from (("networks", name) for name in service.networks)
        yield from (("secrets", one.name) for one in service.mounted("secrets"))
        yield from (("configs", one.name) for one in service.mounted("configs"))

    def _require(self, key: str, kind: str, name: str) -> None:
        known = getattr(self, kind)
        if name not in known:
            others = f"name one of {', '.join(known)}, or " if known else ""
            raise SettingError(
                key,
                f"names {name}, and requorum:workload.{kind} has no entry {name}",
                remedy=f"{others}add the entry",
                code="no-such-name",
            )

    def _require_own_ports(self, key: str) -> None:
        """No two services publish one port in the routing mesh, which the swarm would refuse after the first of them."""
        taken: dict[tuple[int, str], str] = {}
        for name, service in self.services.items():
            for port in service.ports:
                if port.published and port.mode == "ingress":
                    other = taken.setdefault((port.published, port.protocol), name)
                    if other != name:
                        raise SettingError(
                            f"{key}.services.{name}.ports",
                            f"publish {port.published}/{port.protocol}, and {other} does too",
                            remedy="publish another port",
                            code="setting-invalid",
                        )
