"""The agents on the managers: their files, their installation, and their state."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Protocol

from recovery.agent.config import CREDENTIALS, CUSTOMER_KEY, FILE, METRICS_FILE, STATE, Config
from recovery.agent.state import State, from_json
from recovery.cluster import Cluster
from recovery.errors import Refused, SettingError, TransportError
from recovery.node.shell import said
from recovery.operations import agent_credentials, bundle
from recovery.planning.diagnosis import Diagnosis, Kind
from recovery.planning.setup import are_packages
from recovery.s3.bucket import Bucket
from recovery.settings import Agent, Settings
from recovery.swarm.machines import Node
from recovery.swarm.model import Reach, Survey

HOME = "/usr/local/lib/requorum/agent"
INSTALLED = FILE.with_name("installed")
"""This file holds the digest of the installed agent. The installation writes it last."""
RUNNING = "requorum-watch.service requorum-copy.timer"
"""The units that systemd starts by itself."""
UNITS = f"{RUNNING} requorum-copy.service requorum-due.service"
"""All units of an agent."""
SERVICE = """[Unit]
Description=Requorum: {what}
After=docker.service network-online.target
StartLimitIntervalSec=0
[Service]
Environment=PYTHONPATH={home}/lib
ExecStart=/usr/bin/python3 -m recovery.agent {verb}
Nice=10
CPUWeight=20
IOWeight=20
{more}
{hardened}
"""
HARDENED = f"""NoNewPrivileges=yes
PrivateTmp=yes
ProtectSystem=strict
ProtectHome=read-only
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native
TasksMax=512
CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_NET_ADMIN
CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_ADMIN
StateDirectory={STATE.parent.name}
StateDirectoryMode=0700
ReadWritePaths=/run -{HOME}/lib"""
"""What the program of an agent cannot do, because it reads what S3 and the engine answer, as root.

The restore test of a copy needs its rights to mount and to make a network, and the program caches its compiled modules.
"""
COPY = "Type=oneshot\nRestart=on-failure\nRestartSec=10\nTimeoutStartSec=6h\nMemoryMax=1G"
WATCH = "Restart=always\nRestartSec=5\nMemoryMax=256M"
AT_BOOT = "\n[Install]\nWantedBy=multi-user.target"
DUE = """[Unit]
Description=Requorum: a scheduled copy is due
After=requorum-copy.service
[Service]
Type=oneshot
ExecStart=/bin/mkdir -m 700 -p {state}
ExecStart=/bin/touch {state}/due
ExecStart=/bin/systemctl start --no-block requorum-copy.service
"""
"""A due copy waits until a running round has ended: systemd ignores a start while that round is ending."""
TIMER = """[Unit]
Description=Requorum: scheduled copies
[Timer]
OnCalendar={schedule}
RandomizedDelaySec=60
Persistent=true
Unit=requorum-due.service
[Install]
WantedBy=timers.target
"""
CHECK = """set -eu
fail() { echo "$1" >&2; exit 2; }
command -v systemd-analyze >/dev/null || fail "systemd is missing. The agent needs it"
systemd-analyze calendar "$1" >/dev/null 2>&1 || fail "requorum:agent.schedule: systemd does not understand '$1'"
/usr/bin/python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || fail "/usr/bin/python3 is not Python 3.11 or newer"
missing=
for module in cryptography nacl; do
  /usr/bin/python3 -c "import $module" 2>/dev/null || missing="$missing python3-$module"
done
[ -z "$missing" ] || fail "these packages are missing: apt-get install$missing"
"""
"""Checks that a node has what an agent needs. Argument: the schedule."""
STOP = f"""systemctl stop {RUNNING} requorum-copy.service requorum-due.service 2>/dev/null || true
for unit in {RUNNING}; do systemctl disable --quiet $unit 2>/dev/null || true; done
for unit in {UNITS}; do rm -f /etc/systemd/system/$unit; done
was=$(python3 -c 'import json; print(json.load(open("{FILE}"))["metrics"] or "")' 2>/dev/null || true)
[ -z "$was" ] || [ "$was" = "$metrics" ] || rm -f "$was/{METRICS_FILE}"
rm -rf {HOME} {FILE.parent}
"""
"""Removes an agent, and of other people's files none: a folder of drop-ins for a unit stays.

Also removes its metrics file if that is in another folder than ``$metrics``: nothing updates it.
"""
INSTALL = f"""set -eu
home={HOME} metrics=$3
rm -rf $home.new; mkdir -m 700 -p $home.new; tar -xz --no-same-owner -C $home.new
{CHECK}{STOP}mkdir -m 700 -p {FILE.parent}
mv $home.new $home
cp $home/etc/* {FILE.parent}/; rm -r $home/etc
install -m 644 $home/units/* /etc/systemd/system/
[ -z "$metrics" ] || mkdir -p "$metrics"
systemctl daemon-reload
systemctl enable --quiet --now requorum-copy.timer
[ ! -e $home/units/requorum-watch.service ] || systemctl enable --quiet --now requorum-watch.service
printf %s "$2" > {INSTALLED}
"""
"""Arguments: the schedule, the digest, and the folder for metrics. The bundle comes on standard input."""
REMOVE = f"""metrics=
{STOP}systemctl daemon-reload
"""
"""Uninstalls an agent. The spool stays: it may hold copies that S3 does not have."""
LOOK = f"""cat {INSTALLED} 2>/dev/null || true; echo
stat -c %Y {INSTALLED} 2>/dev/null || echo
date +%s
systemctl is-active requorum-copy.timer || true
systemctl is-active requorum-watch.service || true
systemctl show requorum-copy.timer --property=LastTriggerUSec --value --timestamp=unix || echo
systemctl show requorum-copy.service --property=Result --value || echo
systemctl show requorum-copy.service --property=ExecMainStatus --value || echo
echo $(ls {STATE}/spool 2>/dev/null | grep -v '[.]new$')
cat {STATE}/state.json 2>/dev/null || true
"""
"""Prints one line for each value, then the agent's state. Names in the spool are times in milliseconds."""
SECONDS = 120
DIGITS = 14
"""No time in milliseconds has so many digits."""


class Assessed(Protocol):
    """What was found out of a cluster: an assessment."""

    @property
    def survey(self) -> Survey:
        """The reports of all nodes."""

    @property
    def diagnosis(self) -> Diagnosis:
        """What is wrong."""


@dataclass(frozen=True)
class AgentStatus:
    """The state of one manager's agent."""

    digest: str
    """The digest of the installed agent; empty if none is installed."""
    timer: bool
    watch: bool
    waiting: int
    """How many copies wait for S3."""
    state: State
    result: str = "success"
    status: int = 0
    """How the last round ended: systemd's result, and the exit status."""
    since: float = 0.0
    """When the oldest waiting copy was taken. This field and the next two are Unix times; 0 means never."""
    due: float = 0.0
    """When a round was last due: by the timer, or because the watch started."""
    now: float = 0.0
    """The node's clock."""


def check(settings: Settings) -> None:
    """Check that the operator's files for the agents can be read. Raises: SettingError."""
    for manager in settings.managers if settings.agent else ():
        files(settings, manager)


def require_fit(cluster: Cluster, assessment: Assessed) -> None:
    """Refuse if a manager that answers lacks what its agent needs.

    It never refuses while a recovery is needed: agents come after the proof. Raises: Refused.
    """
    if assessment.diagnosis.kind not in (Kind.HEALTHY, Kind.ABSENT):
        return
    faults = unfit(cluster, assessment.survey)
    if not faults or (cluster.settings.hosts.install and are_packages(faults.values())):
        return
    remedy = "repair that on the nodes, or remove requorum:agent, then run the same command again"
    doing, why = "checking what the agents need", "; ".join(f"{name}: {fault}" for name, fault in faults.items())
    raise Refused(doing, why, remedy=remedy, code="agent-cannot-run")


def unfit(cluster: Cluster, survey: Survey) -> Mapping[str, str]:
    """What the managers that answer lack for their agents, by name. Empty if nothing, or without agents."""
    there = [report.node for report in survey.managers if report.reach is Reach.ANSWERS]
    if cluster.settings.agent is None or not there:
        return {}
    with ThreadPoolExecutor(max_workers=len(there)) as pool:
        faults = pool.map(lambda node: _unfit(cluster, node), there)
    return {node.name: fault for node, fault in zip(there, faults, strict=True) if fault}


def digest(settings: Settings, node: Node) -> str:
    """The digest of the agent that the settings want on a node. Raises: SettingError."""
    return bundle.digest(files(settings, node))


def digests(settings: Settings) -> Mapping[str, str]:
    """The digest of each manager's agent, by the manager's name; empty without agents, or if their files cannot be read."""
    try:
        return {node.name: digest(settings, node) for node in settings.managers} if settings.agent else {}
    except SettingError:
        return {}


def install(cluster: Cluster, node: Node) -> str:
    """Install and start the node's agent, and return its digest. Raises: SettingError; TransportError."""
    agent, content = _wanted(cluster.settings), files(cluster.settings, node)
    made = bundle.digest(content)
    argv = ["sh", "-c", INSTALL, "install", agent.schedule, made, str(agent.metrics_folder or "")]
    with cluster.shell(node) as shell:
        shell.run(argv, stdin=bundle.packed(content), seconds=SECONDS)
    return made


def remove(cluster: Cluster, node: Node) -> bool:
    """Uninstall the agent from the node. Returns False if Requorum cannot log in to the node: it may be gone."""
    try:
        with cluster.shell(node) as shell:
            shell.run(["sh", "-c", REMOVE], seconds=SECONDS, check=False)
    except TransportError:
        return False
    return True


def inspect(cluster: Cluster, node: Node) -> AgentStatus:
    """The state of the node's agent. Raises: TransportError."""
    with cluster.shell(node) as shell:
        told = shell.run(["sh", "-c", LOOK]).stdout.decode(errors="replace")
    return agent_status(told)


def look(cluster: Cluster, nodes: Sequence[Node]) -> list[tuple[Node, AgentStatus | TransportError]]:
    """The state of each node's agent, or why it could not be asked."""

    def one(node: Node) -> tuple[Node, AgentStatus | TransportError]:
        try:
            return node, inspect(cluster, node)
        except TransportError as error:
            return node, error

    with ThreadPoolExecutor(max_workers=max(len(nodes), 1)) as pool:
        return list(pool.map(one, nodes))


def agent_status(told: str) -> AgentStatus:
    """The state in the text that `LOOK` printed."""
    lines = [*told.split("\n", 9), *[""] * 9]
    made, installed, now, timer, watch, triggered, result, status, names, memory = lines[:10]
    waiting = [at / 1000 for name in names.split() if (at := _number(name))]
    return AgentStatus(
        digest=made,
        timer=timer == "active",
        watch=watch == "active",
        waiting=len(waiting),
        state=from_json(memory),
        result=result,
        status=int(_number(status)),
        since=min(waiting, default=0.0),
        due=max(_number(triggered.removeprefix("@")), _number(installed) if watch == "active" else 0.0),
        now=_number(now),
    )


def _number(text: str) -> float:
    return float(text) if text.isascii() and text.isdecimal() and len(text) < DIGITS else 0.0


def _unfit(cluster: Cluster, node: Node) -> str:
    """What the node lacks for an agent; empty if nothing, or if the node does not answer any more."""
    try:
        with cluster.shell(node) as shell:
            done = shell.run(["sh", "-c", CHECK, "check", _wanted(cluster.settings).schedule], check=False)
    except TransportError:
        return ""
    return said(done.stderr) if done.status else ""


def _wanted(settings: Settings) -> Agent:
    assert settings.agent is not None
    return settings.agent


def files(settings: Settings, node: Node) -> Mapping[str, bytes]:
    """The files of a node's agent: its library, its configuration and its units. Raises: SettingError."""
    agent = _wanted(settings)
    made = {
        **_library(),
        "etc/config.json": config(settings, node).to_json(),
        "units/requorum-copy.service": _service("takes copies and stores them in S3", "copy", COPY, _written(agent)),
        "units/requorum-due.service": DUE.format(state=STATE).encode(),
        "units/requorum-copy.timer": TIMER.format(schedule=agent.schedule).encode(),
    }
    if agent.on_change:
        made["units/requorum-watch.service"] = _service("starts a copy after each change", "watch", WATCH, AT_BOOT)
    if credentials := agent.credentials_of(node.name):
        made[f"etc/{CREDENTIALS.name}"] = agent_credentials.credentials(credentials, settings.backup.sites)
    if settings.backup.encryption and settings.backup.encryption.key_file:
        made[f"etc/{CUSTOMER_KEY.name}"] = agent_credentials.read(
            settings.backup.encryption.key_file, "backup.encryption.keyFile"
        )
    return made


@cache
def _library() -> Mapping[str, bytes]:
    return {f"lib/{path}": content for path, content in bundle.library().items()}


def config(settings: Settings, node: Node) -> Config:
    """The configuration of a node's agent."""
    agent = _wanted(settings)
    return Config(
        cluster=settings.cluster,
        name=node.name,
        address=node.address,
        buckets=tuple(_bucket(bucket, agent) for bucket in settings.backup.sites),
        recipients=settings.backup.recipients,
        escrow=settings.escrow.recipients,
        metrics=Path(agent.metrics_folder) if agent.metrics_folder else None,
        spool_copies=agent.spool_copies,
        spool_bytes=agent.spool_megabytes * 10**6,
    )


def _bucket(bucket: Bucket, agent: Agent) -> Bucket:
    """The bucket as a node uses it. Its credentials need to read only what agents write for each other."""
    return replace(
        bucket,
        profile=bucket.profile if agent.credentials_file else None,
        key_file=CUSTOMER_KEY if bucket.key_file else None,
        as_of=None,
        write_only=True,
    )


def _service(what: str, verb: str, more: str, last: str) -> bytes:
    return SERVICE.format(what=what, home=HOME, verb=verb, more=more, hardened=HARDENED + last).encode()


def _written(agent: Agent) -> str:
    """The folder for metrics, which the agent writes to. systemd reads a percent sign as the start of a variable."""
    return f" -{str(agent.metrics_folder).replace('%', '%%')}" if agent.metrics_folder else ""
