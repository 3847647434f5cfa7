"""Puts the fakes where the code under test reaches out: Docker's API, SSH, S3, the host driver, the clock.

Everything above them is the real code.
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
from recovery.s3 import client, lease
from recovery.settings import Settings
from recovery.survey import hosts
from recovery.swarm import certificate
from recovery.swarm.machines import Node
from recovery.swarm.model import Presence
from tests.fake.bucket import FakeS3
from tests.fake.engine import FakeApi
from tests.fake.shell import FakeShell
from tests.fake.swarm import Swarm

SHARED_MEMORY = Path("/dev/shm")
"""Where archives on their way lie: a disk would take most of the time."""


class Killed(BaseException):
    """The process that recovers is killed: nothing it would still do is done."""


class Moment(Enum):
    """When an effect is struck, and how."""

    KILLED = auto()
    """It is done, and nothing after it. So killed before an effect is killed after the one before."""
    FAILS_BEFORE = auto()
    """The request does not get through."""
    FAILS_AFTER = auto()
    """It is done, and the answer is lost."""


@dataclass(frozen=True)
class Strike:
    """What befalls one effect, counted from 1."""

    at: int
    moment: Moment


@dataclass
class Wires:
    """The world that the patched code reaches, and the effects it had there."""

    swarm: Swarm = field(default_factory=Swarm)
    objects: dict[str, bytes] = field(default_factory=dict)
    """What the bucket holds."""
    effects: list[str] = field(default_factory=list)
    strike: Strike | None = None
    dead: bool = False
    clock: float = 0.0

    def __post_init__(self) -> None:
        self.shell = FakeShell(self)

    def begin(self, strike: Strike | None = None) -> None:
        """A new process: nothing was done yet, and perhaps something befalls it."""
        self.effects, self.strike, self.dead = [], strike, False

    def require_alive(self) -> None:
        if self.dead:
            raise Killed

    @contextmanager
    def effect(self, what: str, failure: Callable[[str], Exception]) -> Iterator[None]:
        """Count an effect, and strike it where it is its turn."""
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

    # What stands in for the methods of Shell, and for hosts.presence

    def open_shell(self, node: Node) -> None:
        self.require_alive()
        machine = self.swarm.machines.get(str(node.address))
        if machine is None or not machine.answers:
            raise Silent(f"connecting to {node.name}", "nothing answers", remedy="look", node=node.name)

    def run(
        self, node: Node, argv: Sequence[str], stdin: bytes | Path | None, stdout: Path | None, check: bool
    ) -> Output:
        self.open_shell(node)
        output = self.shell.run(self.swarm.machines[str(node.address)], argv, stdin, stdout)
        if check and output.status:
            raise CommandFailed(f"running {argv[0]}", output.stderr, remedy="look", node=node.name)
        return output

    def presence(self, nodes: Iterable[Node]) -> Mapping[str, Presence]:
        self.require_alive()
        machines = {node.name: self.swarm.machines.get(str(node.address)) for node in nodes}
        return {name: machine.presence if machine else Presence.GONE for name, machine in machines.items()}


class OneAfterTheOther:
    """A pool that does everything at once in the caller's thread, so that effects have one order."""

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


@contextmanager
def wired() -> Iterator[Wires]:
    """The code under test, with a fake world at the other end of its wires."""
    wires = Wires()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(docker, "APIClient", lambda base_url, timeout, **_: FakeApi(wires, base_url, timeout))
        patch.setattr(Shell, "__enter__", lambda shell: wires.open_shell(shell.node) or shell)
        patch.setattr(Shell, "__exit__", lambda *_: None)
        patch.setattr(Shell, "engine_socket", lambda shell: Path("/fake") / str(shell.node.address))
        patch.setattr(
            Shell,
            "run",
            lambda shell, argv, *, stdin=None, stdout=None, seconds=0, check=True: wires.run(
                shell.node, argv, stdin, stdout, check
            ),
        )
        patch.setattr(client, "client", lambda *_: FakeS3(wires))
        patch.setattr(hosts, "presence", lambda _settings, nodes: wires.presence(nodes))
        patch.setattr(lease, "RENEW_SECONDS", None)  # no clock of ours runs here: it waits for its end
        if SHARED_MEMORY.is_dir():
            patch.setattr(tempfile, "tempdir", str(SHARED_MEMORY))
        here = {
            "monotonic": lambda: wires.clock,
            "sleep": wires.sleep,
            "ThreadPoolExecutor": OneAfterTheOther,
            "identity": cache(certificate.identity),
        }
        for module in [module for name, module in sys.modules.items() if name.startswith("recovery.")]:
            for name in here.keys() & vars(module).keys():
                patch.setattr(module, name, here[name])
        yield wires


def cluster(wires: Wires, settings: Settings) -> None:
    """Machines for every node of the settings, with nothing on them."""
    for node in settings.nodes:
        wires.swarm.make(node.name, str(node.address), marked=settings.cluster)
