"""Prepares a machine as a swarm node: checks its tools, marks it for the cluster, closes the swarm ports to other networks."""

from shlex import quote

import pulumi
from pulumi_command import remote

from recovery.node.ssh_keys import pinned_key, private_key_text
from recovery.settings import Settings
from recovery.survey.nodes import MARK_PATH
from recovery.swarm.machines import Node

TOOLS = (
    "age",
    "bash",
    "docker",
    "ip",
    "iptables-restore",
    "openssl",
    "python3",
    "sha256sum",
    "systemd-run",
    "tar",
    "unshare",
    "zstd",
)
TIME_LIMIT = "10m"
FIREWALL_PATH = "/etc/requorum/firewall"
AWAIT_ENGINE = """left=100
until why=$(timeout 5 docker version 2>&1 >/dev/null); do
  left=$((left - 1))
  [ "$left" -gt 0 ] || { echo "the Docker engine of $(hostname) does not answer: systemctl status docker (${why:-timed out})" >&2; exit 1; }
  sleep 0.1
done
"""
SCRIPT = """set -eu
for tool in {tools}; do
  command -v "$tool" >/dev/null || {{ echo "$tool is missing on $(hostname): install it (apt-get install age docker.io iproute2 iptables openssl python3 tar zstd)" >&2; exit 1; }}
done
{engine}mkdir -p /etc/requorum
printf '%s\\n' {cluster} > {mark}
"""
FIREWALL = """cat > {path} <<'RULES'
*filter
:REQUORUM - [0:0]
{rules}
COMMIT
RULES
cat > /etc/systemd/system/requorum-firewall.service <<'UNIT'
[Unit]
Description=Swarm ports are open to the swarm's network only
Before=docker.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'iptables-restore -w -n {path} && {{ iptables -w -C INPUT -j REQUORUM 2>/dev/null || iptables -w -I INPUT -j REQUORUM; }}'
[Install]
WantedBy=multi-user.target
UNIT
systemctl enable --quiet requorum-firewall.service
timeout 30 systemctl restart requorum-firewall.service
"""


def preparation(settings: Settings) -> str:
    """The script that prepares any node of the cluster. It may run again at any time."""
    script = SCRIPT.format(tools=" ".join(TOOLS), engine=AWAIT_ENGINE, cluster=quote(settings.cluster), mark=MARK_PATH)
    if settings.hosts.firewall:
        script += FIREWALL.format(path=FIREWALL_PATH, rules="\n".join(firewall_rules(settings)))
    return script


def firewall_rules(settings: Settings) -> tuple[str, ...]:
    """Rules for ``iptables-restore``. Only the nodes' network may use the ports of swarm. Nobody may use the engine's own ports.

    The rules name the whole network and not each address. Otherwise a manager that is being removed would be cut off while
    it still votes. 2377/tcp is the managers' API, 7946 is gossip, the data path port carries overlay traffic (ESP when encrypted).
    """
    data = settings.swarm.data_path_port
    allowed = [
        f"-A REQUORUM -s {settings.subnet} -p tcp -m multiport --dports 2377,7946 -j ACCEPT",
        f"-A REQUORUM -s {settings.subnet} -p udp -m multiport --dports 7946,{data} -j ACCEPT",
        f"-A REQUORUM -s {settings.subnet} -p esp -j ACCEPT",
    ]
    closed = [
        "-A REQUORUM -p tcp -m multiport --dports 2375,2376,2377,7946 -j DROP",
        f"-A REQUORUM -p udp -m multiport --dports 7946,{data} -j DROP",
    ]
    return ("-A REQUORUM -i lo -j RETURN", *allowed, *closed)


class Preparation(pulumi.ComponentResource):
    """The preparation of one machine. It runs again if the machine or the script changes.

    A ``silent`` machine keeps its preparation. A connection to it would only delay the others.
    """

    def __init__(
        self,
        node: Node,
        settings: Settings,
        identity: pulumi.Input[str],
        silent: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("requorum:node:Preparation", f"{node.name}-preparation", None, opts)
        command = remote.Command(
            f"{node.name}-prepared",
            connection=remote.ConnectionArgs(
                host=node.dial,
                port=settings.ssh.port,
                user=settings.ssh.user,
                private_key=pulumi.Output.secret(private_key_text(settings.ssh.private_key_file)),
                host_key=pinned_key(node, settings.ssh),
                dial_error_limit=60,
                per_dial_timeout=3,
            ),
            create="sh -s",
            stdin=preparation(settings),
            triggers=[identity],
            logging=remote.Logging.STDERR,
            opts=pulumi.ResourceOptions(
                parent=self,
                ignore_changes=["*"] if silent else None,
                custom_timeouts=pulumi.CustomTimeouts(create=TIME_LIMIT, update=TIME_LIMIT),
            ),
        )
        self.register_outputs({"identity": identity, "prepared": command.id})
