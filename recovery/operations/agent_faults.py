"""What is wrong with an agent, and what to do next."""

from recovery.agent.state import AGAIN
from recovery.errors import TransportError
from recovery.operations.agents import AgentStatus
from recovery.planning.readiness import AgentFault
from recovery.spans import span

LOG = "journalctl -u requorum-copy -n 20, on the node"
NEXT = "  next: "
"""How the line of an error begins that says what to do (`recovery.errors`)."""
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


def _remedy(why: str) -> str:
    """What to do next, by an error's text."""
    remedies = [line.removeprefix(NEXT) for line in why.splitlines() if line.startswith(NEXT)]
    return remedies[-1] if remedies else LOG
