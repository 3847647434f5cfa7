"""Runs every edit in every state on the fake swarm: ``python -m tests.edits``. The results go to docs/edits.jsonl."""

import sys
from contextlib import redirect_stderr
from io import StringIO

from tests.edits import results
from tests.edits.edits import EDITS
from tests.edits.files import State
from tests.edits.known import reason
from tests.edits.results import Result
from tests.edits.trial import stage


def run() -> list[Result]:
    """Run every case and store the results."""
    with stage() as made, redirect_stderr(StringIO()):  # the providers tell what they do
        found = [made.run(edit, state) for edit in EDITS for state in edit.states]
    results.replace(results.FAKE, found)
    return found


def main() -> int:
    """Returns 0 if every case ended as it must, or as it is known to end."""
    found = run()
    bad = [one for one in found if bool(one.faults) != bool(reason(one.edit, State(one.state)))]
    for one in bad:
        print(f"{one.edit}, {one.state}: {'; '.join(one.faults) or 'ended as it must, and is listed as a fault'}")
    print(f"{len(found) - len(bad)} of {len(found)} as they must be or are known to be")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
