"""The settings of a first stack file: what is asked for, and the values that the answers make."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from recovery.cli.asking import Answers, Question
from recovery.errors import OptionError, SettingError
from recovery.node import ssh_keys
from recovery.operations import init as preparing
from recovery.planning import takeover
from recovery.planning.takeover import Found
from recovery.s3.client import session
from recovery.settings import Settings, parse
from recovery.settings.copies import Backup, BucketName, Endpoint
from recovery.settings.placement import MANAGER_COUNTS, ZONES, common_networks, placement
from recovery.swarm.address import Networks
from recovery.swarm.machines import Ssh

KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
"""The private keys that OpenSSH tries, in the order of preference here."""


@dataclass(frozen=True)
class Draft:
    """What nobody is asked for: the files, and values of options."""

    cluster: str
    identity: Path
    known_hosts: Path
    recipients: tuple[str, ...]
    user: str = "root"
    port: int = 22
    region: str | None = None
    profile: str | None = None

    def ssh(self, answers: Answers) -> Ssh:
        """How to reach the nodes."""
        key = _path(answers["--key"])
        return Ssh(user=self.user, port=self.port, private_key_file=key, known_hosts_file=self.known_hosts)

    def of_new(self, answers: Answers, dials: Mapping[str, str]) -> dict[str, Any]:
        """The settings of a new cluster, keys in camel case. ``dials`` has SSH addresses by node. Raises: OptionError."""
        managers, workers = (nodes(answers[option], option) for option in ("--managers", "--workers"))
        zones = listed(answers.get("--zones", ""))
        if len(zones) == len(managers):
            managers = [{**one, "zone": zone} for one, zone in zip(managers, zones, strict=True)]
        if unknown := sorted(dials.keys() - {one.get("name") for one in (*managers, *workers)}):
            remedy = "name the node: give it as NAME=ADDRESS in --managers or --workers"
            raise OptionError("--ssh-address", f"no node is named {unknown[0]}", remedy=remedy, code="no-such-name")
        managers, workers = ([_dialled(one, dials) for one in many] for many in (managers, workers))
        swarm = {"zones": list(dict.fromkeys(zones)), "managers": managers, "workers": workers}
        return self._values(answers, {"subnet": answers["--subnet"], **swarm})

    def of_found(self, answers: Answers, found: Found, dials: Mapping[str, str]) -> dict[str, Any]:
        """The settings that take a running swarm over, keys in camel case."""
        swarm = takeover.as_values(found, zones_of(found, answers), dials)
        every = [*swarm["managers"], *swarm.get("workers", ())]
        subnet = {"subnet": answers.get("--subnet") or networks(every)}
        sealed = {"recipients": list(self.recipients), "identityFile": str(self.identity)}
        return self._values(answers, {**subnet, **swarm}) | ({"escrow": sealed} if found.autolocked else {})

    def _values(self, answers: Answers, swarm: Mapping[str, Any]) -> dict[str, Any]:
        ssh = {
            "user": self.user if self.user != Ssh.user else None,
            "port": self.port if self.port != Ssh.port else None,
            "privateKeyFile": str(_path(answers["--key"])),
            "knownHostsFile": str(self.known_hosts),
        }
        backup = {
            "bucket": answers["--bucket"],
            "endpoint": answers["--endpoint"] or None,
            "region": self._region(),
            "profile": self.profile,
            "recipients": list(self.recipients),
            "identityFile": str(self.identity),
        }
        values = {"cluster": self.cluster, **swarm, "hosts": {"driver": "existing"}}
        return {key: value for key, value in values.items() if value} | {"ssh": _given(ssh), "backup": _given(backup)}

    def _region(self) -> str | None:
        """The bucket's region, if it is not the default of the settings."""
        region = self.region or session(self.profile).region_name
        return region if region != Backup.model_fields["region"].default else None


def _dialled(node: Mapping[str, str], dials: Mapping[str, str]) -> dict[str, str]:
    dial = dials.get(node.get("name", ""))
    return {**node, **({"sshAddress": dial} if dial else {})}


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def checked(values: dict[str, Any]) -> Settings:
    """The settings. Raises: OptionError for a value that an option gives."""
    try:
        return parse(values)
    except SettingError as error:
        raise preparing.by_option(error) from None


def listed(text: str) -> list[str]:
    """The words of a text with commas."""
    return [word for part in text.split(",") if (word := part.strip())]


def nodes(text: str, option: str) -> list[dict[str, str]]:
    """Nodes from ``[NAME=]ADDRESS,…``. Raises: OptionError."""
    found = []
    for word in listed(text):
        name, _, address = word.rpartition("=")
        try:
            ip_address(address)
        except ValueError:
            remedy = f"give {option} as ADDRESS,ADDRESS or NAME=ADDRESS,NAME=ADDRESS"
            raise OptionError(option, f"{address!r} is no address", remedy=remedy, code="bad-argument") from None
        found.append({**({"name": name} if name else {}), "address": address})
    return found


def networks(of: Sequence[Mapping[str, str]]) -> str:
    """The smallest network of these nodes, or one of each family, with commas."""
    return str(Networks(common_networks([ip_address(node["address"]) for node in of])))


# Zones of a swarm that is taken over


def labelled(found: Found) -> dict[str, str]:
    """The zone of each node that a label names, by the node's name; nothing if a manager has no such label."""
    named = takeover.names(found.nodes)
    zones = {named[member.node_id]: takeover.zone_of(member) for member in found.nodes}
    complete = all(zones[named[member.node_id]] for member in found.managers)
    return {name: zone for name, zone in zones.items() if zone} if complete else {}


def zones_of(found: Found, answers: Answers) -> dict[str, str]:
    """The zone of each node by its name: from the answer, which counts, and from labels. Raises: OptionError."""
    given = listed(answers.get("--zones", ""))
    if not given:
        return labelled(found)
    named = takeover.names(found.nodes)
    if len(given) != len(found.managers):
        shown = ", ".join(named[member.node_id] for member in found.managers)
        remedy = f"give one zone for each of {shown}, in this order"
        why = f"{len(given)} zones are given for {len(found.managers)} managers"
        raise OptionError("--zones", why, remedy=remedy, code="bad-argument")
    of_managers = {named[member.node_id]: zone for member, zone in zip(found.managers, given, strict=True)}
    of_workers = {named[member.node_id]: takeover.zone_of(member) for member in found.workers}
    return of_managers | {name: zone for name, zone in of_workers.items() if zone in given}


def zones_question(found: Found) -> Question:
    """The question for the zones of the managers."""
    named = takeover.names(found.nodes)
    shown = ", ".join(named[member.node_id] for member in found.managers)
    in_turn = ",".join(placement(len(found.managers), ZONES))
    return Question("--zones", f"Zones of the managers {shown}, with commas", lambda _: in_turn)


# What is asked for


def _check_key(text: str, _: Answers) -> None:
    try:
        ssh_keys.in_agent(_path(text))
    except SettingError as error:
        raise preparing.by_option(error) from None


def _key_by_default(_: Answers) -> str | None:
    found = (Path.home() / ".ssh" / name for name in KEYS)
    return next((str(path) for path in found if path.exists()), None)


def _every(answers: Answers) -> list[dict[str, str]]:
    """The nodes that are answered so far."""
    return [node for option in ("--managers", "--workers") for node in nodes(answers.get(option, ""), option)]


def _subnet_by_default(answers: Answers) -> str | None:
    every = _every(answers)
    return networks(every) if every else None


def _check_subnet(text: str, answers: Answers) -> None:
    try:
        subnet = Networks(tuple(map(ip_network, listed(text))))
    except ValueError as error:
        why = f"{text!r} is no network ({error})"
        raise OptionError("--subnet", why, remedy="give it as 10.20.0.0/16", code="bad-argument") from None
    if outside := [node["address"] for node in _every(answers) if ip_address(node["address"]) not in subnet]:
        why = f"{', '.join(outside)} is not in {subnet}"
        raise OptionError("--subnet", why, remedy="give a network with every node", code="setting-invalid")


def _must_fit(kind: Any, text: str, option: str, form: str) -> None:
    """Raises: OptionError if the text is not of a kind of the settings."""
    try:
        TypeAdapter(kind).validate_python(text)
    except ValidationError:
        remedy = f"give it as {form}"
        raise OptionError(option, f"{text!r} cannot be used", remedy=remedy, code="setting-invalid") from None


def _check_endpoint(text: str, _: Answers) -> None:
    if text:
        _must_fit(Endpoint, text, "--endpoint", "https://s3.example.org")


def _check_bucket(text: str, _: Answers) -> None:
    _must_fit(BucketName, text, "--bucket", "3 to 63 small letters, digits, dots and hyphens")


def _check_workers(text: str, _: Answers) -> None:
    nodes(text, "--workers")


def _check_managers(text: str, _: Answers) -> None:
    count = len(nodes(text, "--managers"))
    if count not in MANAGER_COUNTS:
        counts = "1, 3, 5, 7 or 9 managers"
        why = f"{count} manager{'' if count == 1 else 's'} cannot be a new cluster"
        raise OptionError("--managers", why, remedy=f"give {counts}", code="setting-invalid")


MANAGERS = Question("--managers", "Addresses of the managers, with commas", check=_check_managers)
WORKERS = Question(
    "--workers",
    "Addresses of the workers, with commas (empty: none)",
    lambda _: "",
    _check_workers,
)
SUBNET = Question("--subnet", "Network of all nodes, also of later ones", _subnet_by_default, _check_subnet)
KEY = Question("--key", "Your private SSH key, which lets you in to every node", _key_by_default, _check_key)
ENDPOINT = Question(
    "--endpoint",
    "URL of the S3 server (empty: AWS)",
    lambda _: os.environ.get("AWS_ENDPOINT_URL_S3", ""),
    _check_endpoint,
)
BUCKET = Question("--bucket", "Name of the S3 bucket", check=_check_bucket)
