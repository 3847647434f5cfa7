"""The commands, by purpose, with the module that defines each of them.

`recovery.cli.tree` makes the command line of this table. A noun has verbs: `copies list`, `copies take`.
"""

from typing import NamedTuple

LOOK, COPIES, RECOVER, MEND = "Look", "Copies", "Recover", "Mend a node"
DATA, SET_UP, PIPELINES = "Service data", "Set up", "Pipelines"


class Listed(NamedTuple):
    """A command in the list of commands."""

    module: str
    """Its module in `recovery.cli`."""
    summary: str
    """The first sentence of its help."""
    section: str
    """Its purpose, which is the section of the help that lists it."""


COMMANDS = {
    "status": Listed("status", "Show the current state of the cluster.", LOOK),
    "check": Listed("check", "Check whether a recovery from here would work if all managers were lost now.", LOOK),
    "doctor": Listed(
        "doctor",
        "List what is wrong with the nodes and services, and the commands that may repair it, least disruptive first.",
        LOOK,
    ),
    "agents": Listed("agents", "Show the state of the agent on each manager.", LOOK),
    "reports": Listed("reports", "List the reports of recoveries and other changes of the swarm, or print one.", LOOK),
    "metrics": Listed("metrics", "Print the swarm's health and the age of its copies as Prometheus metrics.", LOOK),
    "copies list": Listed("copies", "List the cluster's copies, newest first.", COPIES),
    "copies take": Listed(
        "backup", "Copy every manager's swarm directory to S3 while the engines run, the leader last.", COPIES
    ),
    "copies verify": Listed("copies", "Read a copy completely from S3 and compare it with its manifest.", COPIES),
    "copies drill": Listed(
        "copies",
        "Restore copies as in a disaster, each in a sandbox with its manager's address, and store the results in S3.",
        COPIES,
    ),
    "copies keep": Listed("copies", "Protect a copy from pruning with a keep mark, or remove its keep mark.", COPIES),
    "copies prune": Listed("prune", "Remove the copies that no rule of requorum:backup.retention keeps.", COPIES),
    "plan": Listed("cluster", "Show what `pulumi up` would change in the swarm now, or why it would refuse.", RECOVER),
    "recover": Listed("cluster", "Carry out the plan without Pulumi, on machines that are up.", RECOVER),
    "consent": Listed(
        "consent", "Consent to the plan that `requorum watch` asks for, from any operator's machine.", RECOVER
    ),
    "rescue": Listed(
        "rescue", "Bring back the swarm of one manager, without a stack file and without a copy in S3.", RECOVER
    ),
    "fence": Listed("nodes", "Switch a machine off, check that it is silent, and declare it lost for one hour.", MEND),
    "restart": Listed("nodes", "Restart a node's Docker engine, if the quorum survives the restart.", MEND),
    "reboot": Listed(
        "nodes", "Reboot a node's machine, if the quorum survives the reboot, and wait until the node is back.", MEND
    ),
    "run": Listed("rolling", "Run a command of yours on every node, one after the other.", MEND),
    "upgrade": Listed(
        "rolling", "Bring the Docker engine of every node to requorum:engine.version, one after the other.", MEND
    ),
    "lease": Listed("lease", "List who holds the leases in S3, or break the lease of a process that never ends.", MEND),
    "promote": Listed("nodes", "Promote a worker as a stand-in for a lost manager.", MEND),
    "drain": Listed("maintenance", "Drain a node for maintenance, and wait until no task runs on it.", MEND),
    "undrain": Listed(
        "maintenance",
        "End the maintenance of a node, and give it the availability back that it had before requorum drain.",
        MEND,
    ),
    "rebalance": Listed(
        "nodes",
        "Replace the tasks of replicated services, one service after the other, to spread them over the nodes again.",
        MEND,
    ),
    "rotate worker-token": Listed("rotate", "Make a new join token for workers.", MEND),
    "rotate manager-token": Listed("rotate", "Make a new join token for managers.", MEND),
    "rotate unlock-key": Listed("rotate", "Make a new unlock key, store it in escrow, and copy the managers.", MEND),
    "rotate ca": Listed(
        "rotate",
        "Rotate the swarm's CA, wait until every node has a new certificate, and copy the managers under the new CA.",
        MEND,
    ),
    "data list": Listed("data", "List the data copies, newest first.", DATA),
    "data take": Listed("data", "Copy service data to S3.", DATA),
    "data verify": Listed(
        "data", "Open data copies, read them completely and compare them with their manifests.", DATA
    ),
    "data restore": Listed("data", "Restore a copy into its service.", DATA),
    "data prune": Listed("data", "Remove the data copies that no rule of requorum:backup.retention keeps.", DATA),
    "init": Listed("init", "Write the stack file of a new cluster, or of a running swarm with --from.", SET_UP),
    "s3": Listed("s3", "Test what the S3 servers support.", SET_UP),
    "policy": Listed("s3", "Print the S3 policy that agents, or one command, need.", SET_UP),
    "escrow": Listed(
        "copies",
        "Store an unlock key, read from standard input, in escrow in S3, sealed to requorum:escrow.recipients.",
        SET_UP,
    ),
    "notify": Listed("reports", "Send a test message to the services of requorum:notify.", SET_UP),
    "watch": Listed(
        "watch",
        "Watch the cluster until it is stopped, from a machine outside the swarm: heal, notify, and ask for consent.",
        PIPELINES,
    ),
    "ci preview": Listed("ci", "Comment on a pull request with the state of the cluster and the plan.", PIPELINES),
    "ci up": Listed("ci", "Bring the cluster to what the stack file says. Never recovers a lost quorum.", PIPELINES),
    "ci watch": Listed("ci_watch", "Look at the cluster once, and heal it, report it, or ask for consent.", PIPELINES),
    "ci recover": Listed("ci_recover", "Carry out the plan that a merged stack file or --plan consents to.", PIPELINES),
    "ci drill": Listed(
        "ci_drill", "Drill the newest copy of each manager, and open an issue if a drill fails.", PIPELINES
    ),
    "ci unlock": Listed("ci", "Remove Pulumi's lock if its holder is provably dead.", PIPELINES),
    "ci init": Listed(
        "ci_init", "Write the workflows for a forge, a systemd timer or a service, into this project.", PIPELINES
    ),
}
NOUNS = {
    "copies": "List, take, verify, drill, keep and prune the copies of managers.",
    "data": "List, take, verify, restore and prune the copies of service data.",
    "rotate": "Rotate a join token, the unlock key or the CA of the swarm.",
    "ci": "Run one job of a pipeline: preview, up, watch, recover, drill, unlock.",
}
"""The words that a verb follows."""
ALIASES = {
    "backup": "copies take",
    "backups": "copies list",
    "verify": "copies verify",
    "drill": "copies drill",
    "keep": "copies keep",
    "prune": "copies prune",
    "report": "reports --newest",
    "data backup": "data take",
}
"""Old names, which stay, and what they stand for. A command has one implementation and one help."""
