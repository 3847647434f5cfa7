"""Prepares the first update of a cluster: its stack file, identity and pinned host keys. Changes nothing on any node."""

import os
import socket
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from recovery.cluster import Cluster
from recovery.errors import HostKeyChanged, OptionError, Refused, SettingError, StoreError, local_fault
from recovery.node import host_keys
from recovery.node.host_keys import Shown
from recovery.node.ssh import Shell
from recovery.parallel import side_by_side
from recovery.planning import access
from recovery.planning.preparation import PACKAGES
from recovery.s3 import probe, sealing
from recovery.s3.capability import Capabilities
from recovery.settings import PROJECT, Settings
from recovery.settings.stack_file import as_text
from recovery.survey import nodes
from recovery.swarm.machines import Node, Ssh
from recovery.swarm.model import ACCESS_FAULTS, LocalState, NodeReport, Reach, Survey
from recovery.swarm.ssh_url import SshUrl
from recovery.yaml_text import NotYaml, load

AT_MOST = 8
"""Machines that are asked for their host keys at a time."""
OF_TEMPLATE = frozenset({"cluster", "subnet"})
"""The settings that `pulumi new` asks for (Pulumi.yaml, template)."""
COMPARE = "for key in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $key; done"
"""What shows, on a machine, the fingerprints of its host keys."""


@dataclass(frozen=True)
class Present:
    """What a stack file has now."""

    kept: Mapping[str, Any] = field(default_factory=dict)
    """What is beside the configuration. Pulumi writes there."""
    others: Mapping[str, Any] = field(default_factory=dict)
    """The configuration of others."""
    ours: Mapping[str, Any] = field(default_factory=dict)
    """The settings of Requorum, by key."""

    @property
    def begun(self) -> Mapping[str, Any]:
        """The settings that `pulumi new` asked for, if there are no others."""
        return self.ours if self.ours.keys() <= OF_TEMPLATE else {}


def present(file: Path) -> Present:
    """What a stack file has now; nothing if it does not exist. Raises: OptionError if it cannot be read."""
    if not file.exists():
        return Present()
    try:
        found = load(file.read_text()) or {}
        config = found.pop("config", None) or {}
        prefix = f"{PROJECT}:"
        ours = {str(key).removeprefix(prefix): config[key] for key in config if str(key).startswith(prefix)}
        others = {key: config[key] for key in config if not str(key).startswith(prefix)}
        return Present(found, others, ours)
    except (OSError, UnicodeDecodeError, NotYaml, AttributeError, TypeError) as error:
        why, remedy = f"{file} is no stack file: {error}", "name another file, or move this one away"
        raise OptionError("--config-file", why, remedy=remedy, code="bad-argument") from None


def age_identity(file: Path) -> tuple[str, frozenset[str]]:
    """The text of a new age identity, empty if the file exists and stays; and the recipients. Raises: SettingError."""
    if file.exists():
        return "", sealing.Identities(file, setting="backup.identityFile").recipients
    text, recipient = sealing.new_identity()
    return text, frozenset({recipient})


def write_identity(file: Path, text: str) -> None:
    """Write a new age identity, which only its owner can read. A file that exists is never overwritten. Raises: LocalError."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(text)
    except OSError as error:
        raise local_fault(error, file) from None


def write_stack_file(file: Path, values: Mapping[str, Any]) -> str:
    """Write the settings into a stack file, and keep what else is in it. Returns the text. Raises: LocalError, OptionError."""
    there = present(file)
    text = as_text(values, there.others, there.kept)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_name(f".{file.name}.new")
        half.write_text(text)
        half.rename(file)
    except OSError as error:
        raise local_fault(error, file) from None
    return text


def collect(hosts: Collection[str], port: int, known_hosts: Path) -> tuple[Shown, ...]:
    """The host keys that these machines show. Raises: TransportError; HostKeyChanged for another key than the pinned one."""
    shown = side_by_side(lambda host: host_keys.shown_by(host, port), hosts, at_most=AT_MOST)
    for one in shown:
        if host_keys.contradicts(one, known_hosts):
            raise HostKeyChanged(
                f"collecting the host keys of {one.host}",
                f"they are not the host keys pinned in {known_hosts}",
                remedy=f"find out which machine answers at {one.host}. If it is the right one, remove its lines from that "
                f"file: ssh-keygen -R '{one.pattern}' -f {known_hosts}",
                code="host-key-changed",
            )
    return shown


def new_keys(machines: Sequence[Shown], known_hosts: Path) -> tuple[Shown, ...]:
    """The machines with keys that are not pinned yet, each with these keys."""
    left = (replace(one, keys=host_keys.unpinned(one, known_hosts)) for one in machines)
    return tuple(one for one in left if one.keys)


def require_expected(machines: Sequence[Shown], expected: Collection[str]) -> None:
    """Raises: OptionError if a machine shows a key whose fingerprint is not among the expected ones."""
    left = (replace(one, keys=tuple(key for key in one.keys if key.fingerprint not in expected)) for one in machines)
    strange = "".join(f"\n{line}" for one in left for line in one.lines)
    if strange:
        raise OptionError(
            "--host-key",
            f"these host keys are not among the expected fingerprints:{strange}",
            remedy=f"compare them with what each machine shows ({COMPARE}), and give each by --host-key",
            code="host-key-unexpected",
        )


def ask_manager(url: SshUrl, ssh: Ssh) -> NodeReport:
    """The report of the machine at that address. Raises: OptionError, TransportError, Refused."""
    try:
        address = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)[0][4][0]
    except OSError as error:
        why = f"the name {url.host} cannot be resolved ({error.strerror or error})"
        raise OptionError("--from", why, remedy="give the address of a manager", code="bad-argument") from None
    node = Node(name=url.host, address=ip_address(address), role="manager", ssh_address=url.host)
    with Shell(node, ssh) as shell:
        report = nodes.ask(shell, seconds=nodes.LATE_SECONDS, whole=False)
    if report.reach in ACCESS_FAULTS:
        raise access.locked_out([report], ssh)
    return report


def look(cluster: Cluster) -> Survey:
    """The reports of all nodes. Raises: Refused if Requorum cannot use one of them, or one is in another swarm."""
    settings = cluster.settings
    seen = nodes.survey(cluster, patient=True)
    if silent := [report.node.name for report in seen.reports if report.reach is Reach.SILENT]:
        remedy = "start these machines, or correct their addresses, then run the same command again"
        why = f"these machines do not answer: {', '.join(silent)}"
        raise Refused("looking at the nodes", why, remedy=remedy, code="node-unreachable")
    if faults := access.faults(seen):
        raise access.locked_out(faults, settings.ssh)
    for report in seen.reports:
        if report.state is not LocalState.INACTIVE and report.cluster_id != (settings.cluster_id or ""):
            url = str(SshUrl(report.node.dial, settings.ssh.user, settings.ssh.port))
            raise Refused(
                "looking at the nodes",
                f"it is in swarm {report.cluster_id or '(unknown)'} already",
                remedy=f"to take over this swarm, give --from {url} (of a manager) instead of --managers. To create a new "
                "swarm, first run on the node: docker swarm leave --force",
                node=report.node.name,
                code="foreign-swarm",
            )
    return seen


def lacking(seen: Survey) -> tuple[str, ...]:
    """What the nodes lack, a sentence each, with the command that installs it."""
    return tuple(
        f"{report.node.name} lacks {', '.join(report.on_node.lacks)}. On it, run: apt-get install {PACKAGES}"
        for report in seen.reports
        if report.on_node and report.on_node.lacks
    )


def ask_bucket(settings: Settings) -> Capabilities:
    """What the bucket offers. Raises: OptionError if it cannot be used."""
    sites, folder = Cluster(settings).store.sites[:1], settings.keys.probe
    try:
        sites[0].keys(folder)
    except StoreError as error:
        why, remedy = f"{error.why} ({error.doing})", _in_options(error.remedy)
        raise OptionError("--bucket", why, remedy=remedy, code=error.code) from None
    (found,) = probe.probe(sites, folder)
    return found


OPTIONS = {
    "cluster": "--cluster",
    "subnet": "--subnet",
    "zones": "--zones",
    "managers": "--managers",
    "workers": "--workers",
    "ssh.privateKeyFile": "--key",
    "ssh.knownHostsFile": "--known-hosts",
    "ssh.user": "--user",
    "ssh.port": "--port",
    "backup.bucket": "--bucket",
    "backup.endpoint": "--endpoint",
    "backup.region": "--region",
    "backup.recipients": "--recipient",
    "backup.identityFile": "--identity",
}
"""The option of `requorum init` that gives a setting."""


def by_option(error: SettingError) -> SettingError:
    """An error about a setting, as an error about the option that gives the setting, if there is one."""
    key = error.key
    starts = (start for start in OPTIONS if key == start or key.startswith((f"{start}[", f"{start}.")))
    if (start := next(starts, None)) is None:
        return error
    option = OPTIONS[start]
    remedy = f"correct {option}" if "stack file" in error.remedy else _in_options(error.remedy)
    return OptionError(option, f"{error.why} (requorum:{key})", remedy=remedy, code=error.code)


def _in_options(text: str) -> str:
    """A text about settings, as a text about the options that give them."""
    for setting, option in OPTIONS.items():
        text = text.replace(f"requorum:{setting}", option)
    return text
