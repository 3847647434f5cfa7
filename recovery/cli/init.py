"""The command that prepares a cluster: asks or takes options, and writes the stack file, the identity and the host keys."""

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from recovery.cli import draft
from recovery.cli.asking import Asking
from recovery.cli.console import FileOption, StackOption, answered, app, ended, err, examples, out, say, stack_file
from recovery.cli.draft import BUCKET, ENDPOINT, KEY, MANAGERS, SUBNET, WORKERS, Draft
from recovery.cli.show import s3 as show
from recovery.cli.show.contract import ERROR
from recovery.cluster import Cluster
from recovery.errors import OptionError
from recovery.node import host_keys
from recovery.operations import init as preparing
from recovery.planning import takeover
from recovery.planning.takeover import Found
from recovery.s3.capability import Capabilities
from recovery.settings import Settings
from recovery.swarm.machines import Ssh
from recovery.swarm.model import Survey
from recovery.swarm.ssh_url import SshUrl, parse_url

FromOption = Annotated[str, typer.Option("--from", help="Take over the swarm of this manager: ssh://USER@HOST:PORT.")]
ManagersOption = Annotated[
    str | None, typer.Option(help="[NAME=]ADDRESS of each manager, with commas: 1, 3, 5, 7 or 9.")
]
WorkersOption = Annotated[str | None, typer.Option(help="[NAME=]ADDRESS of each worker, with commas.")]
SubnetOption = Annotated[
    str | None, typer.Option(help="The networks of all nodes, with commas. Default: the smallest.")
]
ZonesOption = Annotated[str | None, typer.Option(help="The zone of each manager, with commas.")]
DialOption = Annotated[
    list[str] | None, typer.Option("--ssh-address", help="NODE=ADDRESS, if SSH reaches a node at another address.")
]
KeyOption = Annotated[str | None, typer.Option("--key", help="Your private SSH key, without passphrase.")]
UserOption = Annotated[str | None, typer.Option(help="The user of SSH logins. Default: root.")]
PortOption = Annotated[int | None, typer.Option(help="The port of sshd on the nodes. Default: 22.")]
BucketOption = Annotated[str | None, typer.Option(help="The S3 bucket. AWS clients find its credentials.")]
EndpointOption = Annotated[str | None, typer.Option(help="The URL of the S3 server. Empty for AWS.")]
RegionOption = Annotated[str | None, typer.Option(help="The region of the bucket.")]
ProfileOption = Annotated[str | None, typer.Option(help="The profile of the S3 credentials.")]
IdentityOption = Annotated[Path | None, typer.Option(help="The age identity file. Made if it does not exist.")]
RecipientOption = Annotated[
    list[str] | None, typer.Option("--recipient", help="The age recipient of another person who can open copies.")
]
KnownOption = Annotated[Path | None, typer.Option("--known-hosts", help="The file in which host keys are pinned.")]
HostKeyOption = Annotated[
    list[str] | None, typer.Option("--host-key", help="The fingerprint of a host key that you expect: SHA256:…")
]
AcceptOption = Annotated[bool, typer.Option("--accept-host-keys", help="Pin the host keys without comparing them.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace the settings of an existing stack file.")]
ClusterOption = Annotated[str | None, typer.Option(help="The cluster's name. Default: the stack's.")]
UNCHANGED = "no node was changed. next: run the same command again"


@app.command("init", epilog=examples("requorum init", "requorum init --from ssh://root@10.20.1.11"))
def init(
    stack: StackOption = "",
    config_file: FileOption = None,
    from_: FromOption = "",
    managers: ManagersOption = None,
    workers: WorkersOption = None,
    subnet: SubnetOption = None,
    zones: ZonesOption = None,
    ssh_address: DialOption = None,
    key: KeyOption = None,
    user: UserOption = None,
    port: PortOption = None,
    bucket: BucketOption = None,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    identity: IdentityOption = None,
    recipient: RecipientOption = None,
    known_hosts: KnownOption = None,
    host_key: HostKeyOption = None,
    accept_host_keys: AcceptOption = False,
    cluster: ClusterOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Write the stack file of a new cluster, or of a running swarm with --from. Changes nothing on any node.

    Asks at a terminal for what no option gives. Makes an age identity, pins host keys, and tests the bucket.
    """
    with ended(interrupted=UNCHANGED):
        file = stack_file(stack, config_file)
        begun = _begun(file, overwrite)
        subnet = subnet or begun.get("subnet")
        asked = {"--managers": managers, "--workers": workers, "--subnet": subnet, "--zones": zones}
        made = _Identity.at(_own(identity, file, "identity"))
        recipients = (*made.recipients, *(recipient or ()))
        known = _own(known_hosts, file, "known_hosts")
        name = cluster or begun.get("cluster") or _name(file)
        ssh_user, ssh_port = user or Ssh.user, Ssh.port if port is None else port
        given = Draft(name, made.file, known, recipients, ssh_user, ssh_port, region, profile)
        asking = Asking(asked | {"--key": key, "--bucket": bucket, "--endpoint": endpoint})
        first = _First(given, asking, made, file, frozenset(host_key or ()), accept_host_keys)
        dials = dict(_dials(ssh_address or ()))
        if from_:
            first.take_over(_url(from_, user, port), dials)
        else:
            first.create(dials)


def _name(file: Path) -> str:
    """The stack's name, from ``Pulumi.NAME.yaml``."""
    return file.name.removeprefix("Pulumi.").removesuffix(".yaml")


def _begun(file: Path, overwrite: bool) -> Mapping[str, Any]:
    """What `pulumi new` asked for. Raises: OptionError if the stack file has other settings that nobody said to replace."""
    there = preparing.present(file)
    if there.ours and not there.begun and not overwrite:
        remedy = "name another stack, or give --overwrite to replace the settings"
        raise OptionError("--overwrite", f"{file} has settings already", remedy=remedy, code="bad-argument")
    return there.begun


def _own(path: Path | None, stack: Path, ending: str) -> Path:
    """A file on the operator's machine, by default next to those of other stacks."""
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "requorum"
    return (path or folder / f"{_name(stack)}.{ending}").expanduser().absolute()


def _url(text: str, user: str | None, port: int | None) -> SshUrl:
    """Where `--from` and the options `--user` and `--port` reach the manager. Raises: OptionError if they contradict each other."""
    try:
        url = parse_url(text, user=user or Ssh.user, port=Ssh.port if port is None else port)
    except ValueError as error:
        raise OptionError("--from", str(error), remedy="correct --from", code="bad-argument") from None
    for option, given, named in (("--user", user, url.user), ("--port", port, url.port)):
        if given not in (None, named):
            why = f"is {given}, and --from names {named}"
            raise OptionError(option, why, remedy=f"remove {option}, or correct --from", code="bad-argument")
    return url


def _dials(texts: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Node and SSH address, from ``NODE=ADDRESS``. Raises: OptionError."""
    for text in texts:
        name, _, address = text.partition("=")
        if not (name and address):
            why = f"{text!r} is not NODE=ADDRESS"
            raise OptionError("--ssh-address", why, remedy="give NODE=ADDRESS", code="bad-argument")
        yield name, address


@dataclass(frozen=True)
class _Identity:
    """The operator's age identity."""

    file: Path
    text: str
    """The text of a new identity. Empty if the file exists, and stays."""
    recipients: tuple[str, ...]

    @classmethod
    def at(cls, file: Path) -> "_Identity":
        """The identity in a file, or a new one, which is not written yet. Raises: SettingError."""
        text, recipients = preparing.age_identity(file)
        return cls(file, text, tuple(sorted(recipients)))


@dataclass(frozen=True)
class _Ready:
    """Settings that were checked, and what their bucket offers."""

    values: Mapping[str, Any]
    settings: Settings
    offers: Capabilities


@dataclass(frozen=True)
class _First:
    """The first stack file of a cluster, in the making."""

    draft: Draft
    asking: Asking
    identity: _Identity
    file: Path
    expected: frozenset[str]
    """The fingerprints of the host keys."""
    accept: bool

    def create(self, dials: Mapping[str, str]) -> None:
        """Prepare a new cluster. Raises: RequorumError; typer.Exit if the operator does not confirm the host keys."""
        self.asking.require([MANAGERS, KEY, BUCKET])
        questions = (MANAGERS, WORKERS, SUBNET, KEY, ENDPOINT, BUCKET)
        ready = self.asking.settled(questions, lambda answers: _ready(self.draft.of_new(answers, dials)))
        seen = self._look(ready.settings)
        self._finish(ready, preparing.lacking(seen))
        self._next()

    def take_over(self, url: SshUrl, dials: Mapping[str, str]) -> None:
        """Prepare to take over the swarm of a manager. Raises: as `create`."""
        for option in ("--managers", "--workers"):
            if option in self.asking.answers:
                remedy = f"remove {option}. --from reads the nodes from the swarm"
                raise OptionError(option, "cannot be given with --from", remedy=remedy, code="bad-argument")
        self.asking.require([KEY, BUCKET])
        there = replace(self, draft=replace(self.draft, user=url.user, port=url.port))
        ssh = self.asking.settled([KEY], there.draft.ssh)
        there._confirm([url.host])
        say(f"reading the swarm of {url.host}")
        found = takeover.find(preparing.ask_manager(url, ssh))
        there._take_over(found, {**takeover.dial_of(found, url.host), **dials})

    def _take_over(self, found: Found, dials: Mapping[str, str]) -> None:
        known = takeover.names(found.nodes).values()
        if unknown := sorted(dials.keys() - set(known)):
            why, remedy = f"the swarm has no node {unknown[0]}", f"name one of {', '.join(known)}"
            raise OptionError("--ssh-address", why, remedy=remedy, code="no-such-name")
        zones = () if draft.labelled(found) else (draft.zones_question(found),)
        questions = (*zones, ENDPOINT, BUCKET)
        ready = self.asking.settled(questions, lambda answers: _ready(self.draft.of_found(answers, found, dials)))
        seen = self._look(ready.settings)
        whole = takeover.with_data_paths(ready.values, seen)
        down = [f"{one.hostname} is Down, so the stack file does not name it. It is left alone" for one in found.down]
        self._finish(_Ready(whole, draft.checked(whole), ready.offers), [*preparing.lacking(seen), *down])
        out.print(f"without Pulumi: requorum copies take {self._named}", soft_wrap=True)
        self._next()

    def _confirm(self, hosts: Collection[str]) -> None:
        """Pin the host keys that the operator confirms. Raises: RequorumError; typer.Exit if the answer is no."""
        file = self.draft.known_hosts
        say(f"collecting the host keys of {len(hosts)} machine{'s' if len(hosts) > 1 else ''}")
        new = preparing.new_keys(preparing.collect(hosts, self.draft.port, file), file)
        if not new:
            return
        err.print("\n".join(line for one in new for line in one.lines), soft_wrap=True)
        if self.expected:
            preparing.require_expected(new, self.expected)
        elif not self.accept:
            self._ask_whether_right()
        host_keys.pin(new, file)

    def _ask_whether_right(self) -> None:
        compare = f"Compare them with what each machine shows: {preparing.COMPARE}"
        if not self.asking.terminal:
            remedy = "give each fingerprint by --host-key, or give --accept-host-keys"
            why = f"nobody has confirmed these host keys, and no terminal is there to ask. {compare}"
            raise OptionError("--host-key", why, remedy=remedy, code="host-key-not-pinned")
        err.print(compare, soft_wrap=True)
        with answered(
            otherwise="give --host-key or --accept-host-keys, or run it in a terminal", stands="no node was changed"
        ):
            right = typer.confirm("Are these the host keys of the machines?", err=True)
        if not right:
            raise typer.Exit(ERROR)

    def _look(self, settings: Settings) -> Survey:
        self._confirm([node.dial for node in settings.nodes])
        say(f"looking at {len(settings.nodes)} nodes")
        return preparing.look(Cluster(settings))

    def _finish(self, ready: _Ready, notes: Iterable[str]) -> None:
        """Write the identity and the stack file, and say so. Raises: LocalError."""
        if self.identity.text:
            preparing.write_identity(self.identity.file, self.identity.text)
        preparing.write_stack_file(self.file, ready.values)
        out.print(show.table(ready.offers))
        made = "new, only you can read it" if self.identity.text else "as it was"
        lines = (
            f"stack file: {self.file}",
            f"known hosts: {self.draft.known_hosts}",
            f"identity: {self.identity.file} ({made})",
            "  It opens the copies. Without it they are worthless: store it in a second place, and never on a node.",
            *(f"note: {note}" for note in (*notes, *ready.settings.weaknesses)),
        )
        out.print("\n".join(lines), soft_wrap=True)

    def _next(self) -> None:
        name = _name(self.file)
        stack = f"--stack {name}"
        preview = f"pulumi preview {stack if self._named == stack else f'{stack} {self._named}'}"
        out.print(f"next: pulumi stack select --create {name} && {preview}", soft_wrap=True)

    @property
    def _named(self) -> str:
        """The options that name the stack."""
        usual = self.file.parent.name == "stacks" and self.file.name == f"Pulumi.{_name(self.file)}.yaml"
        return f"--stack {_name(self.file)}" if usual else f"--config-file {self.file}"


def _ready(values: dict[str, Any]) -> _Ready:
    settings = draft.checked(values)
    say(f"testing s3://{settings.backup.bucket}")
    return _Ready(values, settings, preparing.ask_bucket(settings))
