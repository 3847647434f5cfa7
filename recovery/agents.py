"""The agents on the managers: what each is made of, how it gets there, and how it is doing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from recovery import bundle
from recovery.agent.config import CREDENTIALS, CUSTOMER_KEY, FILE, STATE, Config
from recovery.agent.state import State
from recovery.bucket import Bucket
from recovery.errors import SettingError, TransportError
from recovery.settings import Agent, Node, Settings
from recovery.transport import Shell

HOME = "/usr/local/lib/requorum/agent"
INSTALLED = FILE.with_name("installed")
"""Holds the digest of what is installed; written last."""
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
"""
COPY = "Type=oneshot\nRestart=on-failure\nRestartSec=10\nTimeoutStartSec=6h"
WATCH = "Restart=always\nRestartSec=5\n[Install]\nWantedBy=multi-user.target"
DUE = """[Unit]
Description=Requorum: a scheduled copy is due
[Service]
Type=oneshot
ExecStart=/bin/mkdir -m 700 -p {state}
ExecStart=/bin/touch {state}/due
ExecStart=/bin/systemctl start --no-block requorum-copy.service
"""
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
INSTALL = f"""set -eu
home={HOME}
rm -rf $home.new; mkdir -m 700 -p $home.new; tar -xz --no-same-owner -C $home.new
systemd-analyze calendar "$1" >/dev/null 2>&1 || {{ echo "requorum:agent.schedule: systemd does not understand '$1'" >&2; exit 2; }}
PYTHONPATH=$home.new/lib python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {{ echo "Python 3.11 or newer is needed" >&2; exit 2; }}
for module in cryptography nacl; do
  python3 -c "import $module" 2>/dev/null || {{ echo "python3-$module is missing: apt-get install python3-$module" >&2; exit 2; }}
done
systemctl stop requorum-watch.service requorum-copy.timer requorum-copy.service 2>/dev/null || true
rm -rf $home {FILE.parent}; mkdir -m 700 -p {FILE.parent}
mv $home.new $home
cp $home/etc/* {FILE.parent}/; rm -r $home/etc
rm -f /etc/systemd/system/requorum-copy.timer /etc/systemd/system/requorum-watch.service
install -m 644 $home/units/* /etc/systemd/system/
[ -z "$3" ] || mkdir -p "$3"
systemctl daemon-reload
systemctl enable --quiet --now requorum-copy.timer
[ -z "$4" ] || systemctl enable --quiet --now requorum-watch.service
printf %s "$2" > {INSTALLED}
"""
"""Arguments: the schedule, the digest, the folder for metrics, and whether to watch for changes. The bundle comes on standard input."""
REMOVE = f"""systemctl disable --quiet --now requorum-watch.service requorum-copy.timer 2>/dev/null
systemctl stop requorum-copy.service requorum-due.service 2>/dev/null
rm -f /etc/systemd/system/requorum-copy.* /etc/systemd/system/requorum-watch.service /etc/systemd/system/requorum-due.service
systemctl daemon-reload
rm -rf {HOME} {FILE.parent}
"""
"""The spool stays: copies that S3 does not have are nobody's to throw away."""
LOOK = (
    f"cat {INSTALLED} 2>/dev/null || true; echo; "
    "systemctl is-active requorum-copy.timer || true; systemctl is-active requorum-watch.service || true; "
    f"ls {STATE}/spool 2>/dev/null | grep -vc '[.]new$' || true; cat {STATE}/state.json 2>/dev/null || true"
)
SECONDS = 120


@dataclass(frozen=True)
class Standing:
    """How one manager's agent is doing."""

    digest: str
    """Of what is installed; empty where nothing is."""
    timer: bool
    watch: bool
    waiting: int
    """Copies that wait for S3."""
    state: State


def digest(settings: Settings, node: Node) -> str:
    """What tells whether the agent of a node is as the settings want it. Raises: SettingError."""
    return bundle.digest(_files(settings, node))


def install(settings: Settings, node: Node) -> str:
    """Have the node's agent installed and running; its digest. Raises: SettingError; TransportError."""
    agent, files = _wanted(settings), _files(settings, node)
    made = bundle.digest(files)
    folder = str(agent.metrics_folder or "")
    argv = ["sh", "-c", INSTALL, "install", agent.schedule, made, folder, "1" if agent.on_change else ""]
    with Shell(node, settings.ssh) as shell:
        shell.run(argv, stdin=bundle.packed(files), seconds=SECONDS)
    return made


def remove(settings: Settings, node: Node) -> bool:
    """Take the agent off the node; False where the node does not let us in: it may be gone."""
    try:
        with Shell(node, settings.ssh) as shell:
            shell.run(["sh", "-c", REMOVE], seconds=SECONDS, check=False)
    except TransportError:
        return False
    return True


def look(settings: Settings, node: Node) -> Standing:
    """How the node's agent is doing. Raises: TransportError."""
    with Shell(node, settings.ssh) as shell:
        told = shell.run(["sh", "-c", LOOK]).stdout.decode()
    made, timer, watch, waiting, *rest = [*told.split("\n", 4), "", "", "", ""]
    try:
        state = State(**json.loads(rest[0]))
    except (ValueError, TypeError):
        state = State()
    return Standing(made, timer == "active", watch == "active", int(waiting or 0), state)


def _wanted(settings: Settings) -> Agent:
    assert settings.agent is not None
    return settings.agent


def _files(settings: Settings, node: Node) -> Mapping[str, bytes]:
    agent = _wanted(settings)
    made = {
        **_library(),
        "etc/config.json": config(settings, node).to_json(),
        "units/requorum-copy.service": _service("takes copies into S3", "copy", COPY),
        "units/requorum-watch.service": _service("has a copy taken after each change", "watch", WATCH),
        "units/requorum-due.service": DUE.format(state=STATE).encode(),
        "units/requorum-copy.timer": TIMER.format(schedule=agent.schedule).encode(),
    }
    if agent.credentials_file:
        made[f"etc/{CREDENTIALS.name}"] = _read(agent.credentials_file, "agent.credentialsFile")
    if settings.backup.encryption and settings.backup.encryption.key_file:
        made[f"etc/{CUSTOMER_KEY.name}"] = _read(settings.backup.encryption.key_file, "backup.encryption.keyFile")
    return made


@cache
def _library() -> Mapping[str, bytes]:
    return {f"lib/{path}": content for path, content in bundle.library().items()}


def config(settings: Settings, node: Node) -> Config:
    """What the agent of a node is told."""
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
    """As a node writes to it, with credentials that need not read anything but what agents tell each other."""
    return replace(
        bucket,
        profile=bucket.profile if agent.credentials_file else None,
        key_file=CUSTOMER_KEY if bucket.key_file else None,
        as_of=None,
        write_only=True,
    )


def _service(what: str, verb: str, more: str) -> bytes:
    return SERVICE.format(what=what, home=HOME, verb=verb, more=more).encode()


def _read(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingError(setting, f"{path}: {error.strerror}", remedy="name a readable file") from None
