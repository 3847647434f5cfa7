"""Builds and removes the lab's own cluster through Pulumi, as an operator does.

``python -m lab.cluster up|down|env`` runs it. The lab makes the stack file once. Then the operator may change it.
"""

import shutil
import sys
import time
from pathlib import Path

from lab import environment, faults, keys, nodes, s3
from lab.errors import LabError
from lab.instance import Instance
from lab.stack import Stack, settings, with_agents
from recovery.cli.show.contract import LOST
from recovery.errors import RequorumError
from recovery.s3 import policy
from recovery.settings import load

LEADER_SECONDS = 180


def prepare(instance: Instance, stack: Stack) -> None:
    """Make the nodes' SSH keys, Pulumi's home with the plugins, and the stack, if they do not exist."""
    keys.ensure(instance, {node.name: str(node.address) for node in load(stack.file).nodes})
    link_plugins(instance)
    stack.select()


def link_plugins(instance: Instance) -> None:
    """Give the lab a separate Pulumi home with the plugins of the toolchain."""
    pulumi = shutil.which("pulumi")
    if pulumi is None:
        raise LabError("preparing Pulumi", "there is no pulumi on PATH", 'eval "$(make -s env)", or use make')
    plugins = Path(pulumi).parent.parent / "home" / "plugins"
    home = instance.pulumi_home
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    link = home / "plugins"
    if plugins.is_dir() and not (link.is_symlink() and link.resolve() == plugins.resolve()):
        link.unlink(missing_ok=True)
        link.symlink_to(plugins)


def up(instance: Instance, stack: Stack) -> None:
    """Build or update the cluster as the stack file says, then show its status."""
    if not stack.file.exists():
        stack.write(with_agents(instance, settings(instance)))
    prepare(instance, stack)
    admit(instance, stack)
    boot(instance, stack)
    if stack.pulumi("up", "--yes", "--skip-preview", config_file=True, check=False, show=True).status != 0:
        raise LabError("building the cluster", "pulumi up failed", "Read what it says above, then run the same again")
    print(stack.requorum("status").text, end="")
    if load(stack.file).agent:
        print(stack.requorum("agents").text, end="")


def admit(instance: Instance, stack: Stack) -> None:
    """Let the nodes store copies in S3, if the stack file gives them the nodes' key of the lab."""
    settings = load(stack.file)
    if settings.agent and settings.agent.credentials_file == instance.nodes_credentials_file:
        managers = [manager.name for manager in settings.managers]
        s3.grant(instance, policy.of_nodes(settings.backup.sites[0], settings.cluster, managers))


def boot(instance: Instance, stack: Stack) -> None:
    """Start stopped nodes, as after a restart of this machine, and wait for their leader."""
    stopped = {node.name: node.address for node in nodes.existing(instance) if node.state == "exited"}
    if not stopped:
        return
    faults.start(instance, stopped)
    nodes.wait(instance, stopped)
    deadline = time.monotonic() + LEADER_SECONDS
    while stack.requorum("status").status == LOST and time.monotonic() < deadline:
        time.sleep(1)


def down(_instance: Instance, stack: Stack) -> None:
    """Remove the stack file. `python -m lab down` removes the nodes."""
    stack.file.unlink(missing_ok=True)


def main() -> int:
    """Run one verb. Returns 0 on success, 1 on failure, and 2 for a wrong command line."""
    verbs = {"up": up, "down": down}
    try:
        instance = Instance.from_environment()
        stack = Stack(instance)
        if sys.argv[1:] == ["env"]:
            print(environment.exports(instance), end="")
            return 0
        if sys.argv[1:] not in (["up"], ["down"]):
            print(__doc__, file=sys.stderr)
            return 2
        verbs[sys.argv[1]](instance, stack)
    except (LabError, RequorumError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
