"""The preparation of a machine: the script that makes it a node of the cluster, its version, and what differs on the machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from shlex import quote
from typing import TYPE_CHECKING

from recovery.planning import firewall, packages
from recovery.planning.firewall import Rules
from recovery.swarm.client import IN_SHELL
from recovery.swarm.on_node import (
    CHAIN,
    FIREWALL_PATH,
    FIREWALL_UNIT,
    MARK_PATH,
    RULES_OF_IPV4,
    RULES_OF_IPV6,
    TOOLS,
    VERSION_PATH,
    Chain,
    OnNode,
)

if TYPE_CHECKING:
    from recovery.settings import Settings
    from recovery.swarm.machines import Node
    from recovery.swarm.model import NodeReport, Survey

PACKAGES = "age docker.io iproute2 iptables openssl python3 tar zstd"
AWAIT_ENGINE = f"""left=100
until why=$(timeout 5 {IN_SHELL} version 2>&1 >/dev/null); do
  left=$((left - 1))
  [ "$left" -gt 0 ] || {{ echo "the Docker engine of $(hostname) does not answer: systemctl status docker (${{why:-timed out}})" >&2; exit 1; }}
  sleep 0.1
done
"""
SCRIPT = """set -eu
for tool in {tools}; do
  command -v "$tool" >/dev/null || {{ echo "$tool is missing on $(hostname): install it (apt-get install {packages})" >&2; exit 1; }}
done
{engine}mkdir -p /etc/requorum
printf '%s\\n' {cluster} > {mark}
"""
UNFORWARD = f"""while "$family" -w -t mangle -D FORWARD -j {CHAIN} 2>/dev/null; do :; done
"$family" -w -t mangle -F {CHAIN} 2>/dev/null || true
"$family" -w -t mangle -X {CHAIN} 2>/dev/null || true
"""
PLACE = f"""set -eu
place() {{
  jumps=$("$1" -w -S INPUT | grep -cxF -e '-A INPUT -j {CHAIN}' || true)
  at=$("$1" -w -S INPUT | awk '$0 == "-A INPUT -j {CHAIN}" {{ next }} /^-A/ {{ if (/--pol none/ && /-j DROP/) n++; else exit }} END {{ print n + 1 }}')
  {{
    printf '*filter\\n:{CHAIN} - [0:0]\\n'
    cat "{FIREWALL_PATH}.v$2"
    while [ "$jumps" -gt 0 ]; do echo '-D INPUT -j {CHAIN}'; jumps=$((jumps - 1)); done
    printf -- '-I INPUT %s -j {CHAIN}\\nCOMMIT\\n' "$at"
  }} | "$1-restore" -w -n
}}
forward() {{
  jumps=$("$1" -w -t mangle -S FORWARD | grep -cxF -e '-A FORWARD -j {CHAIN}' || true)
  {{
    printf '*mangle\\n:{CHAIN} - [0:0]\\n'
    cat "$2"
    while [ "$jumps" -gt 0 ]; do echo '-D FORWARD -j {CHAIN}'; jumps=$((jumps - 1)); done
    printf -- '-I FORWARD 1 -j {CHAIN}\\nCOMMIT\\n'
  }} | "$1-restore" -w -n
}}
place iptables 4
forward iptables {FIREWALL_PATH}.forward
( {RULES_OF_IPV4} ) | sha256sum > {FIREWALL_PATH}.v4.sum
if [ -e /proc/net/if_inet6 ]; then
  place ip6tables 6
  if [ -s {FIREWALL_PATH}.forward6 ]; then
    forward ip6tables {FIREWALL_PATH}.forward6
  else
    family=ip6tables
{UNFORWARD}  fi
  ( {RULES_OF_IPV6} ) | sha256sum > {FIREWALL_PATH}.v6.sum
fi
"""
"""Puts the chain in place, first in INPUT, in one step for each family. What Docker has put before all others, for encrypted
networks, stays before it (moby, libnetwork/drivers/overlay: programInput). What is forwarded meets the chain of that name in
the table mangle, which Docker does not use. The digests are of the rules as the kernel lists them."""
FIREWALL_ON = """cat > {path}.v4 <<'RULES'
{ipv4}
RULES
cat > {path}.v6 <<'RULES'
{ipv6}
RULES
cat > {path}.forward <<'RULES'
{forwarded}
RULES
cat > {path}.forward6 <<'RULES'
{forwarded6}RULES
cat > {path}.sh <<'PLACE'
{place}PLACE
rm -f {path}
cat > {unit} <<'UNIT'
[Unit]
Description=Swarm ports are open to the swarm's network only
Before=docker.service
[Service]
Type=oneshot
ExecStart=/bin/sh {path}.sh
[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable --quiet requorum-firewall.service
timeout 30 systemctl restart requorum-firewall.service || {{
  echo "the firewall of $(hostname) does not start: $(journalctl -u requorum-firewall.service -n 3 -o cat | tr '\\n' ' ')" >&2; exit 1; }}
"""
FIREWALL_OFF = f"""if [ -e {FIREWALL_UNIT} ]; then
  systemctl disable --quiet requorum-firewall.service
  rm -f {FIREWALL_UNIT} {FIREWALL_PATH} {FIREWALL_PATH}.*
  systemctl daemon-reload
  for family in iptables ip6tables; do
    while "$family" -w -D INPUT -j {CHAIN} 2>/dev/null; do :; done
    "$family" -w -F {CHAIN} 2>/dev/null || true
    "$family" -w -X {CHAIN} 2>/dev/null || true
{UNFORWARD}  done
fi
"""
WRITE_VERSION = f"printf '%s\\n' {{}} > {VERSION_PATH}\n"


@dataclass(frozen=True)
class Preparation:
    """One machine's preparation, and how the machine differs from it."""

    script: str
    known: bool = False
    """Whether the machine was looked at."""
    drift: tuple[str, ...] = ()
    """What differs, in words; the script puts it back."""
    lacks: tuple[str, ...] = ()
    """Tools that the machine lacks, and that the operator must install."""


def prepare(settings: Settings, survey: Survey) -> dict[str, Preparation]:
    """The preparation of each node by its name."""
    reports = {report.node.name: report for report in survey.reports}
    return {node.name: _prepare(settings, node, reports.get(node.name), survey) for node in settings.nodes}


def closing(settings: Settings, survey: Survey) -> tuple[NodeReport, ...]:
    """The machines on which an update puts the firewall's rules, because they differ from their preparation."""
    prepared = prepare(settings, survey)
    return tuple(r for r in survey.reports if firewall.is_wanted(settings, r) and prepared[r.node.name].drift)


def require_nobody_cut_off(settings: Settings, survey: Survey) -> None:
    """Raises: Refused when an update would cut off a node that is Ready in the swarm, named by the stack file or not."""
    firewall.require_nobody_cut_off(settings, survey, closing(settings, survey))


def _prepare(settings: Settings, node: Node, report: NodeReport | None, survey: Survey) -> Preparation:
    wanted = firewall.is_wanted(settings, report)
    text = _installed(settings, node) + script(settings, wanted, firewall.data_path_port(settings, survey))
    whole = text + WRITE_VERSION.format(version(text))
    if report is None or report.on_node is None:
        return Preparation(whole)
    # Without a leader nobody tells the data path port, and the script may be another for that alone.
    current = version(text) if survey.leader or not any(one.in_swarm for one in survey.reports) else ""
    drift = tuple(_drift(settings, report, report.on_node, wanted, current))
    lacks = report.on_node.lacks
    if settings.hosts.install and lacks:
        return Preparation(whole, True, (*drift, f"it lacks {', '.join(lacks)}, which the update installs"))
    return Preparation(whole, True, drift, lacks)


def _installed(settings: Settings, node: Node) -> str:
    """The part of a node's script that installs what the node lacks; empty if the operator does that."""
    if not settings.hosts.install:
        return ""
    return packages.script(TOOLS, packages.MODULES if settings.agent and node.role == "manager" else ())


def script(settings: Settings, wanted: bool | None, data_path_port: int) -> str:
    """The script that prepares a machine; it may run again at any time. ``wanted`` is of the firewall, as `firewall.is_wanted`.

    It lacks the line that writes its version.
    """
    text = SCRIPT.format(
        tools=" ".join(TOOLS), packages=PACKAGES, engine=AWAIT_ENGINE, cluster=quote(settings.cluster), mark=MARK_PATH
    )
    if wanted:
        text += _firewall(firewall.rules(settings, data_path_port))
    elif wanted is False:
        text += FIREWALL_OFF
    return text


def version(text: str) -> str:
    """The version of a preparation: a digest of its script."""
    return sha256(text.encode()).hexdigest()[:16]


def _firewall(rules: Rules) -> str:
    return FIREWALL_ON.format(
        path=FIREWALL_PATH,
        unit=FIREWALL_UNIT,
        place=PLACE,
        ipv4="\n".join(rules.ipv4),
        ipv6="\n".join(rules.ipv6),
        forwarded="\n".join(rules.forwarded),
        forwarded6="".join(f"{rule}\n" for rule in rules.forwarded6),
    )


def _drift(settings: Settings, report: NodeReport, found: OnNode, wanted: bool | None, current: str) -> Iterator[str]:
    """What differs on a machine. One that an earlier release prepared has no version, and that alone is no difference."""
    if report.marked != settings.cluster:
        yield f"it is prepared for cluster {report.marked}" if report.marked else "it is not prepared for this cluster"
    elif current and found.version and found.version != current:
        yield "it is prepared by another release or with other settings"
    if wanted:
        yield from _firewall_drift(settings, found)
    elif wanted is False and found.firewall:
        yield "it has the firewall, which requorum:hosts.firewall switches off"


def _firewall_drift(settings: Settings, found: OnNode) -> Iterator[str]:
    if found.firewall and not found.at_boot:
        yield "the firewall does not start with the machine"
    families = firewall.faults(settings, found)
    for state in (Chain.MISSING, Chain.CHANGED, Chain.LATE, Chain.OLD):
        if names := [family for family, chain in families.items() if chain is state]:
            yield f"the firewall's rules are {state} ({', '.join(names)})"
