"""Looks at what Requorum put on a machine. One script, whose answer stands between two lines of its own."""

from collections.abc import Sequence
from contextlib import suppress
from shlex import quote

from recovery.swarm.on_node import (
    AGENT_HOME,
    AGENT_INSTALLED,
    CHAIN,
    FIREWALL_PATH,
    FIREWALL_UNIT,
    RULES_OF_IPV4,
    RULES_OF_IPV6,
    TOOLS,
    VERSION_PATH,
    Chain,
    Connection,
    OnNode,
)

BEGIN, END = "<requorum>", "</requorum>"
PORTS = (2375, 2376, "${3:-2377}", 7946)
"""The TCP ports of an engine, of the managers' API, which is the script's third argument, and of gossip."""
LOOK = f"""echo '{BEGIN}'; (
echo "version $(cat {VERSION_PATH})"
for tool in {" ".join(TOOLS)}; do command -v "$tool" >/dev/null || echo "lacks $tool"; done
[ ! -e {FIREWALL_UNIT} ] || echo "firewall $(systemctl is-enabled requorum-firewall.service)"
chain() {{
  rules=$(timeout 1 sh -c "$3") || {{ case $? in 4|124) echo busy;; *) echo missing;; esac; return; }}
  state=ok
  if [ -e {FIREWALL_PATH}.v$2.sum ]; then
    [ "$(printf '%s\\n' "$rules" | sha256sum)" = "$(cat {FIREWALL_PATH}.v$2.sum)" ] || {{ echo changed; return; }}
  else
    case $rules in *DROP*) state=old;; *) echo changed; return;; esac
  fi
  first=$(timeout 1 "$1" -w 1 -S INPUT) || {{ echo busy; return; }}
  printf '%s\\n' "$first" | awk -v state=$state '/^-A/ {{
    if ($0 == "-A INPUT -j {CHAIN}") {{ print state; found = 1; exit }}
    if (!(/--pol none/ && /-j DROP/)) exit
  }} END {{ if (!found) print "late" }}'
}}
if [ -e {FIREWALL_UNIT} ]; then
  rules4={quote(RULES_OF_IPV4)}
  [ -e {FIREWALL_PATH}.forward ] || rules4='iptables -w 1 -S {CHAIN}'
  echo "ipv4 $(chain iptables 4 "$rules4")"
  rules6={quote(RULES_OF_IPV6)}
  if [ -e /proc/net/if_inet6 ]; then echo "ipv6 $(chain ip6tables 6 "$rules6")"; else echo 'ipv6 unused'; fi
fi
echo "agent $(cat {AGENT_INSTALLED})"
for unit in requorum-copy.timer requorum-watch.service; do
  [ ! -e "{AGENT_HOME}/units/$unit" ] || systemctl is-active --quiet "$unit" || echo "stopped $unit"
done
for unit in {AGENT_HOME}/units/*; do
  [ ! -e "$unit" ] || cmp -s "$unit" "/etc/systemd/system/${{unit##*/}}" || echo "unit ${{unit##*/}}"
done
echo "addresses $(hostname -I)"
echo "data_path $(sed -n 's/.*"DataPathAddr": *"\\([^"]*\\)".*/\\1/p' "$1/swarm/docker-state.json")"
ss -Hnt state established "( {" or ".join(f"sport = :{port}" for port in PORTS)} )" | head -500 | awk '{{ print "peer", $3, $4 }}'
) 2>/dev/null; echo '{END}'; """
"""Docker puts its own rules for encrypted networks before all others, and they stay there: they drop what is not encrypted."""
CHAINS = {
    "ok": Chain.OK,
    "missing": Chain.MISSING,
    "changed": Chain.CHANGED,
    "late": Chain.LATE,
    "old": Chain.OLD,
    "busy": Chain.BUSY,
    "unused": Chain.UNUSED,
}


def framed(text: str) -> tuple[OnNode | None, str]:
    """What `LOOK` found, and the text without its answer; None if the answer is not there or not whole."""
    before, begin, rest = text.partition(f"{BEGIN}\n")
    answer, end, after = rest.partition(f"{END}\n")
    if not begin or not end:
        return None, text
    return read(answer.splitlines()), before + after


def read(lines: Sequence[str]) -> OnNode:
    """What the lines between the two of the frame say."""
    told: dict[str, list[str]] = {}
    for line in lines:
        key, _, value = line.partition(" ")
        told.setdefault(key, []).append(value.strip())

    def one(key: str) -> str:
        return next(iter(told.get(key, ())), "")

    return OnNode(
        version=one("version"),
        lacks=tuple(told.get("lacks", ())),
        firewall="firewall" in told,
        at_boot=one("firewall") == "enabled",
        ipv4=CHAINS.get(one("ipv4"), Chain.MISSING),
        ipv6=CHAINS.get(one("ipv6"), Chain.MISSING),
        agent=one("agent"),
        units=tuple(told.get("unit", ())),
        stopped=tuple(told.get("stopped", ())),
        connections=tuple(_connections(told.get("peer", ()))),
        addresses=tuple(one("addresses").split()),
        data_path=one("data_path"),
    )


def _connections(peers: Sequence[str]) -> list[Connection]:
    """Each peer of a port once."""
    found: dict[Connection, None] = {}
    for line in peers:
        with suppress(ValueError):
            here, there = line.split()
            address = there.rpartition(":")[0].strip("[]").removeprefix("::ffff:")
            found[Connection(int(here.rpartition(":")[2]), address)] = None
    return list(found)
