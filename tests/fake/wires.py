"""Replaces what the code under test uses: Docker's API, SSH, S3, the host driver, the clock.

Everything above is the real code.
"""

import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache
from pathlib import Path
from typing import Any, Self

import docker
import pytest

from recovery.errors import CommandFailed, Silent
from recovery.node.shell import Output
from recovery.node.ssh import Shell
from recovery.operations import hosts as containers
from recovery.s3 import client, lease, probe
from recovery.s3.capability import REACHABLE, Capabilities, Capability, ProbeResult
from recovery.settings import Settings
from recovery.survey import hosts
from recovery.swarm import certificate
from recovery.swarm.machines import Node
from recovery.swarm.presence import Presence
from tests.fake.bucket import FakeS3
from tests.fake.engine import FakeApi
from tests.fake.machine import Machine
from tests.fake.shell import REBOOT, FakeShell
from tests.fake.swarm import Swarm

SHARED_MEMORY = Path("/dev/shm")
"""The folder of temporary archives, in memory. On a disk, they would take most of the time."""


class Killed(BaseException):
    """The process of the recovery is killed. It does nothing more."""


class Moment(Enum):
    """How a strike interrupts an effect."""

    KILLED = auto()
    """The effect happens, then the process is killed. A kill before an effect is thus a kill after the effect before.
    """
    FAILS_BEFORE = auto()
    """The request fails before the effect."""
    FAILS_AFTER = auto()
    """The effect happens, and the answer is lost."""


@dataclass(frozen=True)
class Strike:
    """An interruption of one effect, by its number from 1."""

    at: int
    moment: Moment


@dataclass
class Wires:
    """The fakes that the patched code uses, and the effects that it had."""

    swarm: Swarm = field(default_factory=Swarm)
    objects: dict[str, bytes] = field(default_factory=dict)
    """The objects in the bucket."""
    hostnames: dict[str, str] = field(default_factory=dict)
    """The address that each host name has. Nothing else resolves a name."""
    effects: list[str] = field(default_factory=list)
    strike: Strike | None = None
    dead: bool = False
    clock: float = 0.0

    def __post_init__(self) -> None:
        self.shell = FakeShell(self)

    def begin(self, strike: Strike | None = None) -> None:
        """Begin a new process without effects, which ``strike`` may interrupt."""
        self.effects, self.strike, self.dead = [], strike, False

    def require_alive(self) -> None:
        if self.dead:
            raise Killed

    @contextmanager
    def effect(self, what: str, failure: Callable[[str], Exception]) -> Iterator[None]:
        """Count an effect, and interrupt it if it is the one of the strike."""
        self.require_alive()
        self.effects.append(what)
        moment = self.strike.moment if self.strike and self.strike.at == len(self.effects) else None
        if moment is Moment.FAILS_BEFORE:
            raise failure("the request is lost")
        yield
        if moment is Moment.FAILS_AFTER:
            raise failure("the answer is lost")
        if moment is Moment.KILLED:
            self.dead = True
            raise Killed

    @staticmethod
    def connection_lost(why: str) -> Exception:
        return Silent("running a command", why, remedy="run again")

    def sleep(self, seconds: float) -> None:
        self.require_alive()
        self.clock += max(seconds, 1.0)
        self.swarm.pass_time()

    # Replacements of the methods of Shell, and of hosts.presence

    def dialled(self, node: Node) -> str:
        """The address at which SSH looks for a node."""
        return self.hostnames.get(node.dial, node.dial)

    def machine(self, node: Node) -> Machine | None:
        """The machine that SSH reaches."""
        return self.swarm.machines.get(self.dialled(node))

    def open_shell(self, node: Node) -> None:
        self.require_alive()
        machine = self.machine(node)
        if machine is None or not machine.answers:
            raise Silent(f"connecting to {node.name}", "nothing answers", remedy="look", node=node.name)

    def run(
        self, node: Node, argv: Sequence[str], stdin: bytes | Path | None, stdout: Path | None, check: bool
    ) -> Output:
        self.open_shell(node)
        output = self.shell.run(self.swarm.machines[self.dialled(node)], argv, stdin, stdout)
        if check and output.status:
            raise CommandFailed(f"running {argv[0]}", output.stderr, remedy="look", node=node.name)
        return output

    def reboot(self, node: Node) -> None:
        """Restart a node's container."""
        self.run(node, REBOOT, None, None, True)

    def presence(self, nodes: Iterable[Node]) -> Mapping[str, Presence]:
        self.require_alive()
        machines = {node.name: self.swarm.machines.get(str(node.address)) for node in nodes}
        return {name: machine.presence if machine else Presence.GONE for name, machine in machines.items()}


class OneAfterTheOther:
    """A pool that runs each task at once in the caller's thread, so that effects have one order."""

    def __init__(self, **_: Any) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, act: Callable[..., Any], *given: Any, **named: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        done.set_result(act(*given, **named))
        return done

    def map(self, act: Callable[[Any], Any], items: Iterable[Any]) -> Iterable[Any]:
        return [act(item) for item in items]

    def shutdown(self, **_: Any) -> None:
        pass


@contextmanager
def wired() -> Iterator[Wires]:
    """Patch the code under test, so that it uses the fakes."""
    wires = Wires()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(docker, "APIClient", lambda base_url, timeout, **_: FakeApi(wires, base_url, timeout))
        patch.setattr(Shell, "__enter__", lambda shell: wires.open_shell(shell.node) or shell)
        patch.setattr(Shell, "__exit__", lambda *_: None)
        patch.setattr(Shell, "engine_socket", lambda shell: Path("/fake") / wires.dialled(shell.node))
        patch.setattr(
            Shell,
            "run",
            lambda shell, argv, *, stdin=None, stdout=None, seconds=0, check=True, most=None: wires.run(
                shell.node, argv, stdin, stdout, check
            ),
        )
        patch.setattr(client, "client", lambda *_, **__: FakeS3(wires))
        patch.setattr(probe, "probe", lambda *_: offering())
        patch.setattr(hosts, "presence", lambda _settings, nodes: wires.presence(nodes))
        patch.setattr(containers, "restart", lambda _, node: wires.reboot(node))
        patch.setattr(hosts, "_of_engines", lambda _: {})  # a container is called like its node
        patch.setattr(lease, "RENEW_SECONDS", None)  # the fake clock does not run here: the thread waits for its end
        if SHARED_MEMORY.is_dir():
            patch.setattr(tempfile, "tempdir", str(SHARED_MEMORY))
        here = {
            "monotonic": lambda: wires.clock,
            "sleep": wires.sleep,
            "ThreadPoolExecutor": OneAfterTheOther,
            "identity": cache(certificate.identity),
            "role_of": cache(certificate.role_of),
        }
        for module in [module for name, module in sys.modules.items() if name.startswith("recovery.")]:
            for name in here.keys() & vars(module).keys():
                patch.setattr(module, name, here[name])
        yield wires


def offering(*offers: Capability) -> tuple[Capabilities, ...]:
    """What a probe finds of the bucket: it can be reached, and offers these."""
    return (
        Capabilities("main", "s3://copies", (Capability(REACHABLE, ProbeResult.YES, needed="everything"), *offers)),
    )


def cluster(wires: Wires, settings: Settings) -> None:
    """Make an empty machine for every node of the settings."""
    for node in settings.nodes:
        wires.swarm.make(node.name, str(node.address), marked=settings.cluster)
