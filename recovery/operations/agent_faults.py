"""What is wrong with an agent, and what to do next."""

from collections.abc import Iterator, Mapping

from recovery.agent.state import AGAIN
from recovery.errors import TransportError
from recovery.operations.agents import AgentStatus
from recovery.planning.readiness import AgentFault
from recovery.spans import span

LOG = "journalctl -u requorum-copy -n 20, on the node"
CODE = "  code: "
"""How the line of an error begins that names its kind (`recovery.errors`)."""
REMEDIES: Mapping[str, str] = {
    "disk-failed": "requorum doctor",
    "s3-denied": "set requorum:agent.credentialsFile to a key with the rights that requorum policy prints, then: pulumi up",
    "s3-not-supported": "requorum s3",
    "s3-refused": "requorum s3",
    "s3-silent": "requorum s3",
    "s3-wrong-answer": "requorum s3",
}
"""What to do about an error that a node reports, by its code: a node's own words never say which command an operator runs."""
LATE_SECONDS = 900
"""After this time a due round is late. A round copies within minutes, and a failed one is repeated every ten seconds."""


def fault(found: AgentStatus | TransportError, *, watched: bool) -> AgentFault | None:
    """What is wrong with an agent; None if nothing is. ``watched`` says whether the settings want its watch."""
    if isinstance(found, TransportError):
        return AgentFault(found.why, found.remedy, known=False)
    state, now = found.state, found.now
    if not found.digest:
        return AgentFault("it is not installed", "pulumi up")
    if not found.timer or found.watch != watched:
        return AgentFault("its systemd units do not run as configured", "pulumi up")
    if state.faults:
        whys = tuple(state.faults.values())
        return AgentFault("; ".join(why.partition("\n")[0] for why in whys), _remedy(whys[0]))
    if found.result != "success" and found.status != AGAIN:
        return AgentFault(f"its last round ended with result {found.result} (exit status {found.status})", LOG)
    if state.attempted < found.due < now - LATE_SECONDS:
        return AgentFault(f"a round was due {span(now - found.due)} ago, and no round has ended since", LOG)
    if found.since and found.since < now - LATE_SECONDS:
        return AgentFault(f"a copy has been waiting for S3 for {span(now - found.since)}", LOG)
    return None


def stated(why: str) -> AgentFault:
    """The fault in an error's text."""
    return AgentFault(why.partition("\n")[0], _remedy(why))


def codes(why: str) -> Iterator[str]:
    """The codes in the text of errors."""
    return (line.removeprefix(CODE) for line in why.splitlines() if line.startswith(CODE))


def _remedy(why: str) -> str:
    return next((REMEDIES[code] for code in codes(why) if code in REMEDIES), LOG)
