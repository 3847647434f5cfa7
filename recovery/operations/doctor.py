"""Carries out what the doctor proposes for one finding, on the nodes that it names."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from recovery.cluster import Cluster
from recovery.errors import CommandFailed, SettingError, TransportError
from recovery.node.shell import said
from recovery.planning.findings.finding import Finding, Proposal, Run
from recovery.progress import Say
from recovery.s3 import safety
from recovery.s3.safety import Safety
from recovery.survey import evidence
from recovery.swarm.client import DOCKER
from recovery.swarm.evidence import Evidence

SECONDS = 600.0
"""For one command: a prune of hundreds of images takes minutes."""


def look(cluster: Cluster) -> tuple[tuple[Evidence, ...], tuple[Safety, ...]]:
    """The looks at all nodes, and what the buckets keep; nothing of buckets if S3 does not answer. Raises: SettingError."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        asked = pool.submit(safety.ask, cluster.hasty.sites)
        return evidence.gather(cluster), asked.result()


def named(findings: tuple[Finding, ...], name: str) -> tuple[Finding, Proposal]:
    """The finding that the operator names, and its repair: the first one, or that of the number in ``NAME#2``.

    Raises: SettingError if there is no such finding now, or if only a person can carry the repair out.
    """
    title, _, number = name.partition("#")
    found = next((one for one in findings if one.name == title), None)
    if found is None or (number and not _is_number(number, found)):
        names = ", ".join(one.name for one in findings)
        raise SettingError(
            "(--fix)",
            f"there is no finding {name} now",
            remedy=f"name one of {names}" if names else "requorum doctor",
            code="no-such-name",
        )
    proposal = found.proposals[int(number) - 1] if number else found.fix
    if proposal and proposal.able:
        return found, proposal
    first = proposal or next((one for one in found.proposals if not one.refused), found.proposals[0])
    why = f"not now: {first.refused}" if first.refused else "a person must carry out this command"
    others = [f"{title}#{place}" for place, one in enumerate(found.proposals, 1) if one.able]
    further = f". If it does not help: requorum doctor --fix {others[0]}" if others and not number else ""
    raise SettingError("(--fix)", f"{name}: {why}", remedy=f"{first.command}{further}", code="fix-by-hand")


def _is_number(text: str, found: Finding) -> bool:
    return text.isdecimal() and 0 < int(text) <= len(found.proposals)


def carry_out(cluster: Cluster, proposal: Proposal, own: Callable[[Sequence[str]], int], *, say: Say) -> None:
    """Run the commands of a proposal, one after the other. ``own`` runs one of Requorum, and returns its exit status.

    Raises: CommandFailed for the first that fails, and TransportError for the first whose node does not answer, both with those
    that were not run.
    """
    for number, run in enumerate(proposal.runs):
        say(run.where)
        rest = "; ".join(left.where for left in proposal.runs[number + 1 :])
        left_out = f". Not run: {rest}" if rest else ""
        doing = f"running {run.text}"
        try:
            why = _run(cluster, run, say) if run.node else _own(own, run)
        except TransportError as error:
            told = f"{error.why}{left_out}"
            raise type(error)(doing, told, remedy=error.remedy, node=run.node, code=error.code) from None
        if why:
            raise CommandFailed(
                doing,
                f"{why}{left_out}",
                remedy="repair what the message names, then: requorum doctor",
                node=run.node,
                code="command-failed",
            )


def _own(own: Callable[[Sequence[str]], int], run: Run) -> str:
    status = own(run.argv[1:])
    return f"exit status {status}" if status else ""


def _run(cluster: Cluster, run: Run, say: Say) -> str:
    """Run a command on its node. Why it failed; empty if it did not. Raises: TransportError."""
    argv = (*DOCKER, *run.argv[1:]) if run.argv[0] == "docker" else run.argv
    with cluster.shell(cluster.settings.node(run.node)) as shell:
        done = shell.run(argv, seconds=SECONDS, check=False)
    if done.status:
        return said(done.stderr) or f"exit status {done.status}"
    for line in done.stdout.decode(errors="replace").splitlines()[-3:]:
        say(f"  {said(line)}")
    return ""
