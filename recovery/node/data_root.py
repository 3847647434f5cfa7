"""Finds the folder of a Docker engine's data, also while the engine does not run."""

from recovery.errors import Garbled
from recovery.node.shell import DATA_ROOT, SHOWN, Shell

FIND = f"""
import json, re, subprocess
try:
    with open("/etc/docker/daemon.json") as file:
        configured = json.load(file)
except (OSError, ValueError):
    configured = {{}}
told = configured.get("data-root") or configured.get("graph")
if not told:
    argv = ["systemctl", "show", "--property=ExecStart", "--value", "docker.service"]
    started = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    flag = re.search(r"(?:--data-root|--graph|-g)[ =]([^ ;]+)", started)
    told = flag and flag[1]
print(told or {DATA_ROOT!r})
"""
"""Prints the folder: as the engine's configuration says, else as the flag of its unit says (dockerd(8))."""


def of(shell: Shell) -> str:
    """The folder of the data of the node's engine, by its configuration. An engine that runs tells it itself.

    Raises: CommandFailed, Silent, Garbled.
    """
    told = shell.run(["python3", "-c", FIND], seconds=20).stdout.decode(errors="replace").strip()
    if not told.startswith("/"):
        raise Garbled(
            "looking for the folder of its Docker engine's data",
            f"the configuration names no absolute path: {told[:SHOWN]!r}",
            remedy="on the node, correct data-root in /etc/docker/daemon.json",
            node=shell.node.name,
            code="answer-garbled",
        )
    return told
