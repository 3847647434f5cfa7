"""Carries out what the doctor proposes for one finding, on the nodes that it names."""

from recovery.cluster import Cluster
from recovery.errors import CommandFailed, SettingError
from recovery.node.shell import said
from recovery.planning.findings.finding import Finding, Proposal, Run
from recovery.progress import Say
from recovery.swarm.client import DOCKER

SECONDS = 600.0
"""For one command: a prune of hundreds of images takes minutes."""


def named(findings: tuple[Finding, ...], name: str) -> Finding:
    """The finding that the operator names. Raises: SettingError if there is no such finding now."""
    found = next((one for one in findings if one.name == name), None)
    if found is None:
        names = ", ".join(one.name for one in findings)
        raise SettingError(
            "(--fix)",
            f"there is no finding {name} now",
            remedy=f"name one of {names}" if names else "requorum doctor",
            code="no-such-name",
        )
    return found


def remedy(finding: Finding) -> Proposal:
    """The first proposal that can be carried out from here. Raises: SettingError if there is none."""
    if finding.fix is None:
        first = finding.proposals[0] if finding.proposals else None
        why = f"not now: {first.refused}" if first and first.refused else "only a person can repair it"
        advice = first.command if first else "requorum doctor"
        raise SettingError("(--fix)", f"{finding.name}: {why}", remedy=advice, code="fix-by-hand")
    return finding.fix


def carry_out(cluster: Cluster, proposal: Proposal, *, say: Say) -> None:
    """Run the commands of a proposal, one after the other. Raises: CommandFailed for the first that fails; TransportError."""
    for number, run in enumerate(proposal.runs):
        say(f"on {run.node}: {run.text}")
        _run(cluster, run, last=number == len(proposal.runs) - 1, say=say)


def _run(cluster: Cluster, run: Run, *, last: bool, say: Say) -> None:
    argv = (*DOCKER, *run.argv[1:]) if run.argv[0] == "docker" else run.argv
    with cluster.shell(cluster.settings.node(run.node)) as shell:
        done = shell.run(argv, seconds=SECONDS, check=False)
    if done.status:
        what = said(done.stderr) or f"exit status {done.status}"
        rest = "" if last else ". The commands after it were not run"
        raise CommandFailed(
            f"running {run.text}",
            f"{what}{rest}",
            remedy="repair what the message names, then: requorum doctor",
            node=run.node,
            code="command-failed",
        )
    for line in done.stdout.decode(errors="replace").splitlines()[-3:]:
        say(f"  {said(line)}")
