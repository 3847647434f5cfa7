"""The lab's own cluster: built and removed through Pulumi, as an operator would.

``python -m lab.cluster up|down|env``. Its stack file is made once and then the operator's.
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
    """Have the nodes' SSH keys, Pulumi's home with the plugins, and the stack."""
    keys.ensure(instance, {node.name: str(node.address) for node in load(stack.file).nodes})
    link_plugins(instance)
    stack.select()


def link_plugins(instance: Instance) -> None:
    """Give the lab a Pulumi home of its own, with the plugins that the toolchain brought."""
    found = shutil.which("pulumi")
    if found is None:
        raise LabError("preparing Pulumi", "there is no pulumi on PATH", 'eval "$(make -s env)", or use make')
    plugins = Path(found).parent.parent / "home" / "plugins"
    home = instance.pulumi_home
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    link = home / "plugins"
    if plugins.is_dir() and not (link.is_symlink() and link.resolve() == plugins.resolve()):
        link.unlink(missing_ok=True)
        link.symlink_to(plugins)


def up(instance: Instance, stack: Stack) -> None:
    """Build the cluster, or bring it to what the stack file says; then show its status."""
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
    """Let the nodes store their copies in S3, where the stack file gives them the key that the lab made for them."""
    found = load(stack.file)
    if found.agent and found.agent.credentials_file == instance.nodes_credentials_file:
        managers = [manager.name for manager in found.managers]
        s3.grant(instance, policy.of_nodes(found.backup.sites[0], found.cluster, managers))


def boot(instance: Instance, stack: Stack) -> None:
    """Start nodes that are there and do not run, as after a restart of this machine, and wait for their leader."""
    stopped = {node.name: node.address for node in nodes.existing(instance) if node.state == "exited"}
    if not stopped:
        return
    faults.start(instance, stopped)
    nodes.wait(instance, stopped)
    deadline = time.monotonic() + LEADER_SECONDS
    while stack.requorum("status").status == LOST and time.monotonic() < deadline:
        time.sleep(1)


def down(_instance: Instance, stack: Stack) -> None:
    """Forget the stack file; the nodes go with the lab."""
    stack.file.unlink(missing_ok=True)


def main() -> int:
    """Run one verb; 0 fine, 1 it failed, 2 it was not understood."""
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
