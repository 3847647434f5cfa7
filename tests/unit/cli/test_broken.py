"""Broken set-ups and losses: what status, check, doctor, plan and preview say of each, side by side. None of it is green."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyrage
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from syrupy.assertion import SnapshotAssertion
from typer.testing import CliRunner

from components import update as of_program
from recovery import cli
from recovery.agent.state import Fault, State
from recovery.cluster import Cluster
from recovery.copies.manifest import Proof, Verdict
from recovery.errors import (
    AccessDenied,
    HostKeyChanged,
    HostKeyUnknown,
    Silent,
    SlowLogin,
    StoreError,
    StoreSilent,
    TransportError,
)
from recovery.node.signing import Kind
from recovery.operations import agents, readiness
from recovery.operations.agents import AgentStatus
from recovery.s3 import probe as probe_of_setup
from recovery.s3.capability import Capability, ProbeResult
from recovery.s3.store import Store
from recovery.settings import EXAMPLES_RECIPIENT, Settings, parse
from recovery.steps import journal
from recovery.survey import nodes
from tests.fake.bucket import FakeS3
from tests.fake.cases import WORKERS, Case, Copies, Scene, Theatre, names, quiet
from tests.fake.stack import Stack
from tests.fake.wires import Wires, offering, wired
from tests.unit import factories as make

ALL, NOBODY = frozenset(names(3)), frozenset[str]()
KEYS = make.settings().keys
STRANGER = pyrage.x25519.Identity.generate()


class Stage:
    """A fake cluster, and what is broken of it."""

    def __init__(self, theatre: Theatre, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self._theatre, self._patch, self.folder = theatre, patch, folder
        self.scene: Scene

    @property
    def wires(self) -> Wires:
        return self._theatre.wires

    def lose(self, lost: frozenset[str] = NOBODY, copies: Copies = Copies.GOOD) -> Settings:
        self.scene = self._theatre.stage(Case(3, lost, copies))
        return self.scene.settings.model_copy(update={"recover": False})

    def set(self, where: str, **changes: Any) -> Settings:
        """The settings of a healthy swarm, with these changes of one of their parts."""
        settings = self.lose()
        part = getattr(settings, where)
        changed = replace(part, **changes) if where == "swarm" else part.model_copy(update=changes)
        return settings.model_copy(update={where: changed})

    def identity(self, content: str | None) -> Settings:
        file = self.folder / "identity"
        if content is not None:
            file.write_text(content)
        return self.set("backup", identity_file=file)

    def s3(self, error: Exception) -> None:
        def fail(*_: Any, **__: Any) -> Any:
            raise error

        for name in ("paginate", "get_object", "put_object"):
            self._patch.setattr(FakeS3, name, fail)

    def without(self, site: str) -> Settings:
        """Two sites, one of which does not answer."""
        real = Store.ask

        def ask(store: Store, of: Any, act: Any) -> Any:
            if of.name == site:
                raise StoreSilent("listing", "S3 cannot be reached", remedy="start it", code="s3-silent")
            return real(store, of, act)

        self._patch.setattr(Store, "ask", ask)
        return self.two("requorum")

    def two(self, prefix: str) -> Settings:
        backup = {**make.RAW["backup"], "second": {"bucket": "second", "prefix": prefix}}
        return self.lose().model_copy(update={"backup": parse(make.raw(backup=backup)).backup})

    def ssh(self, error: type[TransportError], *of: str) -> Settings:
        settings, real = self.lose(), Wires.open_shell

        def open_shell(wires: Wires, node: Any) -> None:
            if not of or node.name in of:
                raise error(f"connecting to {node.name}", "so it says", remedy="look", node=node.name)
            real(wires, node)

        self._patch.setattr(Wires, "open_shell", open_shell)
        return settings

    def agents(self, found: AgentStatus | TransportError, **unfit: str) -> Settings:
        self._patch.setattr(agents, "look", lambda _, nodes: [(node, found) for node in nodes])
        self._patch.setattr(agents, "digests", lambda _: {})
        self._patch.setattr(agents, "unfit", lambda *_: unfit)
        return self.lose().model_copy(update={"agent": make.settings(agent={}).agent})

    def strange_engine(self) -> Settings:
        """No copy, and one engine is of a kind that Requorum does not support."""
        real = nodes.ask

        def ask(shell: Any, **given: Any) -> Any:
            found = real(shell, **given)
            return replace(found, unsupported="podman") if shell.node.name == "manager-b" else found

        self._patch.setattr(nodes, "ask", ask)
        return self.lose(copies=Copies.MISSING)

    def later(self, days: float, **limits: float) -> Settings:
        class Later(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> "Later":
                return super().now(tz) + timedelta(days=days)

        self._patch.setattr(readiness, "datetime", Later)
        settings = self.lose()
        return self.set("backup", limits=settings.backup.limits.model_copy(update=limits))

    def drilled(self, proof: Proof, *, copies: bool) -> Settings:
        """Each manager's last drill, or the last one of its copies."""
        settings = self.lose()
        objects = self.wires.objects
        keys = [key.replace(".manifest.json", ".drill.json") for key in objects if key.endswith(".manifest.json")]
        for key in keys if copies else [KEYS.drill(node.name) for node in settings.managers]:
            objects[key] = Cluster(settings).operators.sign(Kind.DRILL, key, {"proof": proof.to_dict()})
        return settings

    def manifests(self, change: Callable[[bytes], bytes]) -> Settings:
        settings = self.lose()
        for key in [key for key in self.wires.objects if key.endswith(".manifest.json")]:
            self.wires.objects[key] = change(self.wires.objects[key])
        return settings

    def new(self, *offers: Capability, **changes: Any) -> Settings:
        """Machines that no update has touched, and what the bucket offers."""
        settings = self.lose(ALL, Copies.MISSING)
        machines = self.wires.swarm.machines
        for node in settings.nodes:
            machines.pop(str(node.address), None)
            self.wires.swarm.make(node.name, str(node.address), marked="")
        self._patch.setattr(probe_of_setup, "probe", lambda *_: offering(*offers))
        backup = parse(make.raw(backup={**make.RAW["backup"], **changes})).backup
        return settings.model_copy(update={"backup": backup})


def unproven(text: bytes) -> bytes:
    return json.dumps({**json.loads(text), "proof": None}).encode()


def begun(stage: Stage) -> Settings:
    settings = stage.lose()
    with journal.step(Cluster(settings), "join", "manager-b", quiet):
        pass
    return settings


DENIED = ClientError(
    {"Error": {"Code": "AccessDenied", "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "x"
)
NO_BUCKET = ClientError(
    {"Error": {"Code": "NoSuchBucket", "Message": "none"}, "ResponseMetadata": {"HTTPStatusCode": 404}}, "x"
)
NO_KEYS = StoreError(
    "writing trial to s3://copies", "Unable to locate credentials", remedy="name a key", code="s3-denied"
)
FINE = AgentStatus("digest", timer=True, watch=True, waiting=0, state=State(attempted=100.0), due=90.0, now=110.0)
LOCK = Capability("object lock", ProbeResult.NO, "the bucket was created without Object Lock", "backup.lock")
FAILED = Proof(Verdict.FAILED, datetime(2026, 1, 1, tzinfo=UTC), "its log is torn")


def after(act: Callable[[Stage], Settings], then: Callable[[Stage], None]) -> Callable[[Stage], Settings]:
    def both(stage: Stage) -> Settings:
        settings = act(stage)
        then(stage)
        return settings

    return both


CASES: dict[str, Callable[[Stage], Settings]] = {
    "no copy": lambda s: s.lose(copies=Copies.MISSING),
    "no copy of two managers": lambda s: s.lose(copies=Copies.FIRST_ONLY),
    "copies too old": lambda s: s.later(2),
    "copies failed their restore test": lambda s: s.drilled(FAILED, copies=True),
    "manifests are altered": lambda s: s.manifests(unproven),
    "manifests are damaged": lambda s: s.manifests(lambda text: text[:99]),
    "copies under another CA": lambda s: s.lose().model_copy(update={"ca_sha256": ("0" * 64,)}),
    "identity missing": lambda s: s.identity(None),
    "identity not set": lambda s: s.set("backup", identity_file=None),
    "identity file holds none": lambda s: s.identity("nothing\n"),
    "identity wrong": lambda s: s.identity(f"{STRANGER}\n"),
    "S3 down": after(Stage.lose, lambda s: s.s3(EndpointConnectionError(endpoint_url="http://127.0.0.1:1"))),
    "S3 refuses": after(Stage.lose, lambda s: s.s3(DENIED)),
    "bucket wrong": after(Stage.lose, lambda s: s.s3(NO_BUCKET)),
    "main site down": lambda s: s.without("main"),
    "second site down": lambda s: s.without("second"),
    "second site lacks the copies": lambda s: s.two("elsewhere"),
    "autolock without escrow": lambda s: s.set("swarm", autolock=True),
    "agents without credentials": lambda s: s.agents(
        replace(FINE, state=State(attempted=100.0).failing(Fault.STORE, str(NO_KEYS)))
    ),
    "agents not installed": lambda s: s.agents(replace(FINE, digest="")),
    "agents cannot be installed": lambda s: s.agents(replace(FINE, digest=""), **{"manager-b": "systemd is missing"}),
    "agents whose copies wait": lambda s: s.agents(replace(FINE, waiting=1, since=1.0, now=9999.0, due=0.0)),
    "agents not seen": lambda s: s.agents(SlowLogin("connecting", "no login within 20 s", remedy="look at sshd")),
    "never drilled": lambda s: s.later(9, copy_hours=999.0),
    "drill failed": lambda s: s.drilled(FAILED, copies=False),
    "drill overdue": lambda s: s.drilled(Proof(Verdict.PROVEN, FAILED.at), copies=False),
    "cluster misspelt": lambda s: s.lose().model_copy(update={"cluster": "lba"}),
    "SSH key wrong": lambda s: s.ssh(AccessDenied),
    "host keys not pinned": lambda s: s.ssh(HostKeyUnknown),
    "host key of one manager changed": lambda s: s.ssh(HostKeyChanged, "manager-b"),
    "engine of one manager unsupported, and no copy": Stage.strange_engine,
    "a worker is silent": lambda s: s.ssh(Silent, "worker-1"),
    "a run is unfinished": begun,
    "a manager lost, and no copy": lambda s: s.lose(frozenset({"manager-b"}), Copies.MISSING),
    "quorum lost": lambda s: s.lose(frozenset({"manager-b", "manager-c"})),
    "all lost": lambda s: s.lose(ALL),
    "all lost, no copy": lambda s: s.lose(ALL, Copies.MISSING),
    "all lost, S3 down": after(
        lambda s: s.lose(ALL), lambda s: s.s3(EndpointConnectionError(endpoint_url="http://127.0.0.1:1"))
    ),
    "new, lock not offered": lambda s: s.new(LOCK, lock={"mode": "governance", "days": 1}),
    "new, the example's recipient": lambda s: s.new(recipients=[EXAMPLES_RECIPIENT]),
    "new, identity missing": lambda s: s.new(identityFile="/none"),
}
COMMANDS = ("status", "check", "doctor", "plan")
STOPPED = 1
"""Pulumi's exit status if its program stops. If the program ends, Pulumi exits with 0."""
assert WORKERS


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    with wired() as wires:
        yield Theatre(wires)


def shown(text: str) -> str:
    """A line without what differs from run to run."""
    for what, word in (
        (str(make.IDENTITY.to_public()), "age1…ours"),
        (EXAMPLES_RECIPIENT, "age1…example"),
        (make.RAW["backup"]["identityFile"], "/identity"),
    ):
        text = text.replace(what, word)
    text = re.sub(r"/\S*/identity\b", "/identity", text)
    text = re.sub(r"recover=r[0-9a-f]+", "recover=ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "TIME", text)
    text = re.sub(r"\b\d+ s old", "N s old", text)
    return re.sub(r"cluster-\d+", "SWARM", text)


def told(command: str, done: Any) -> tuple[int, str, str]:
    """Exit status, headline and next command."""
    document = json.loads(done.stdout)
    if error := document.get("error") if "state" not in document else None:
        headline, following = f"{error['operation']}: {error['why'].splitlines()[0]}", error["next"]
    else:
        headline, following = document["state"], document["next"]
    assert document.get("exitCode", done.exit_code) == done.exit_code
    return done.exit_code, shown(headline), shown(following or "")


def previewed(wires: Wires, settings: Settings, patch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    """The same of the program under `pulumi preview`: what a person sees in Pulumi's log. Its stack has no state yet."""
    patch.setattr(of_program, "from_program", lambda: settings)
    done = Stack(wires).preview(make.raw())
    assert not done.effects
    lines = [line.strip() for line in "\n".join(done.log).splitlines()]
    named = f"cluster {settings.cluster}: "
    headline = next((line.removeprefix(named) for line in lines if line.startswith(named)), lines[0])
    following = [line.removeprefix("next: ") for line in lines if line.startswith("next: ")]
    return STOPPED if done.failure else 0, shown(headline), shown(following[-1] if following else "")


@pytest.mark.parametrize("name", CASES)
def test_nothing_broken_is_green_and_all_say_what_is_next(
    theatre: Theatre, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion
) -> None:
    settings = CASES[name](Stage(theatre, monkeypatch, tmp_path))
    monkeypatch.setattr(cli.console, "_settings", lambda *_: settings)
    found = {command: told(command, CliRunner().invoke(cli.app, [command, "--json"])) for command in COMMANDS}
    found["preview"] = previewed(theatre.wires, settings, monkeypatch)
    for command, (code, headline, following) in found.items():
        assert command in ("plan", "preview") or code != 0
        assert headline != "healthy"
        assert following
    status, check, doctor, plan, preview = found.values()
    assert status[0] == doctor[0]
    assert plan == preview
    if not name.startswith("new"):
        assert check == status
    assert found == snapshot


def test_a_cluster_that_is_well_is_green(theatre: Theatre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Stage(theatre, monkeypatch, tmp_path).lose()
    monkeypatch.setattr(cli.console, "_settings", lambda *_: settings)
    for command in COMMANDS:
        assert told(command, CliRunner().invoke(cli.app, [command, "--json"])) == (0, "healthy", "")
    assert previewed(theatre.wires, settings, monkeypatch) == (0, "healthy", "")
