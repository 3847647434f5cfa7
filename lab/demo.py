"""Records how a swarm loses every manager and comes back: ``python -m lab.demo FILE`` (`make demo`) runs it on a lab that is up."""

import json
import re
import sys
from pathlib import Path

from lab import environment
from lab.errors import LabError
from lab.instance import Instance
from lab.recording import Recording, picture
from lab.stack import PROJECT, Stack

TITLE = "Every manager of a swarm is lost, and pulumi up brings the swarm back"
OF_PULUMI = re.compile(
    r"running (requorum: .+)|^ *((?:[+~-]|\d+) *(?:\d+ )?(?:created|updated|changes).*|Duration: .+)$"
)
"""What the picture has of Pulumi's lines: what Requorum says, and the count at the end. The others tell of single resources."""


def of_pulumi(line: str) -> str:
    """What the picture has of a line of Pulumi."""
    found = OF_PULUMI.search(re.sub(r"\x1b\[[\d;]*m", "", line))
    return (found[1] or found[2]) if found else ""


def of_requorum(line: str) -> str:
    """What the picture has of a line of Requorum: all but the seconds that it counts while it waits, which it erases."""
    return "" if re.search(r"asking the nodes and S3", line) else line


def record(stack: Stack) -> Recording:
    """Lose every manager, and recover them, as the README says. Raises: LabError if it is not healthy before and after."""
    made = Recording(environment.variables(stack.instance), str(PROJECT))
    require_healthy(stack)
    made.run(["requorum", "status"], of_requorum)
    made.run(["lab/lose", "manager-a", "manager-b", "manager-c"])
    made.run(["requorum", "status"], of_requorum)
    made.run(["requorum", "plan"], of_requorum)
    plan = json.loads(stack.requorum("plan", "--json").text)["id"]
    command = ["pulumi", "up", "--yes", "--skip-preview", "--config", f"recover={plan}"]
    made.run([*command, "--non-interactive"], of_pulumi)
    made.run(["requorum", "status"], of_requorum)
    require_healthy(stack)
    return made


def require_healthy(stack: Stack) -> None:
    """Raises: LabError when `requorum status` finds something wrong."""
    done = stack.requorum("status")
    if done.status:
        raise LabError(
            "recording", f"requorum status ends with {done.status}:\n{done.text}", "make down, then make demo"
        )


def main(file: str) -> int:
    """Record it and write the picture."""
    try:
        stack = Stack(Instance.from_environment())
        stack.requorum("copies", "take", "--yes")
        stack.requorum("copies", "drill")
        Path(file).write_text(picture(record(stack).lines, TITLE))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
