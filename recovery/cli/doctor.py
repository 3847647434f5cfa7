"""The command that lists what is wrong with the cluster and what may repair it, and carries one repair out."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import typer

from recovery.cli.commands import ALIASES, NOUNS
from recovery.cli.console import (
    FileOption,
    JsonOption,
    StackOption,
    YesOption,
    agree,
    app,
    examples,
    opened,
    out,
    print_json,
    say,
    show,
)
from recovery.cli.progress import progress
from recovery.cli.show.contract import FINE
from recovery.cli.show.doctor import Examined, doctor_json, doctor_lines, finding_lines
from recovery.cli.status import conditions, differs, look
from recovery.cli.tree import loaded
from recovery.cluster import Cluster
from recovery.errors import RequorumError, SettingError
from recovery.operations import doctor as operation
from recovery.operations.assess import assess
from recovery.planning.conditions import Condition
from recovery.planning.diagnosis import Diagnosis, Kind
from recovery.planning.doctor import UNDECIDED, examine
from recovery.planning.findings import all as findings
from recovery.planning.guidance import Guidance, guide
from recovery.planning.readiness import completed
from recovery.swarm.model import Survey

FixOption = Annotated[
    str,
    typer.Option(
        "--fix",
        metavar="NAME",
        help="Carry out the repair of this finding, after showing it. NAME#2: its second command.",
    ),
]


@app.command(
    "doctor",
    epilog=examples(
        "requorum doctor",
        "requorum doctor --json",
        "requorum doctor --fix disk-low@manager-a:/",
        "requorum doctor --fix unhealthy@worker-1 --yes",
    ),
)
def doctor(
    fix: FixOption = "",
    yes: YesOption = False,
    stack: StackOption = "",
    config_file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what is wrong with the nodes and services, and the commands that may repair it, least disruptive first.

    Changes nothing without --fix. Exit status as of status: 0 fine, 1 error, 3 something is wrong, 4 quorum lost, 5 not seen from here.
    With --fix: 0 if every command of the repair succeeded, 1 if not, 2 if there is no such finding or it has no command.
    """
    if yes and not fix:
        raise typer.BadParameter("--yes can only be given with --fix")
    with opened(stack, config_file, as_json=as_json) as cluster:
        if fix and as_json:
            why = "a repair is shown in words before it is carried out"
            raise SettingError("(--fix)", why, remedy="leave out --json", code="bad-argument")
        with progress("asking the nodes and S3", as_json=as_json):
            examined = examination(cluster)
        if fix:
            named = {"--stack": stack, "--config-file": config_file}
            _fix(cluster, examined, fix, yes, [word for key, one in named.items() if one for word in (key, str(one))])
        if as_json:
            print_json(doctor_json(examined))
        else:
            lines = doctor_lines(examined)
            out.print("\n".join((f"cluster {cluster.settings.cluster}: {examined.guidance.state}", *lines)))
    raise typer.Exit(examined.code)


def examination(cluster: Cluster) -> Examined:
    """What the doctor finds: the nodes are looked at while the survey and S3 are asked."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        looking = pool.submit(operation.look, cluster)
        seen, diagnosis, guidance, known = _examined(cluster)
        looks, buckets = looking.result()
    settings = cluster.settings
    if diagnosis.kind in UNDECIDED:  # the machines may be somebody else's
        return Examined(diagnosis, (), guidance, known)
    others = findings.judge(settings, seen, looks, known, buckets)
    found = (*findings.traced(examine(settings, seen, diagnosis), others), *others)
    unseen = tuple(findings.unseen(settings, seen, looks))
    return Examined(diagnosis, found, guidance, known, unseen, findings.blind(seen, looks))


def _fix(cluster: Cluster, examined: Examined, name: str, yes: bool, where: Sequence[str]) -> None:
    """Show one finding with its repair, ask, and carry it out. Raises: typer.Exit at the end; SettingError; TransportError."""
    finding, proposal = operation.named(examined.findings, name)
    show(finding_lines(finding))
    agree(f"{proposal.command}: {proposal.effect}", yes)
    if not proposal.runs:
        raise typer.Exit(_own(proposal.own, where))
    operation.carry_out(cluster, proposal, lambda words: _own(words, where), say=say)
    out.print(f"the repair of {name} is carried out. next: requorum doctor")
    raise typer.Exit


def _own(words: Sequence[str], where: Sequence[str]) -> int:
    """Run a command of Requorum's own, which was agreed to and does not ask again. Its exit status."""
    path = ALIASES.get(words[0], words[0]).split(" --")[0]
    command = loaded(" ".join(words[:2]) if path in NOUNS else path)
    asks = any(one.name == "yes" for one in command.params)
    return requorum([*words, *(["--yes"] if asks else []), *where])


def requorum(words: Sequence[str]) -> int:
    """Run a command line within this process. Its exit status."""
    done = app(list(words), standalone_mode=False)
    return done if isinstance(done, int) else FINE


def _examined(cluster: Cluster) -> tuple[Survey, Diagnosis, Guidance, tuple[Condition, ...]]:
    """Survey, diagnosis, guidance and conditions.

    A recovery is assessed as `requorum plan` does, because its command needs the plan's ID.
    """
    settings, now = cluster.settings, look(cluster)
    if now.diagnosis.kind in (Kind.QUORUM_LOST, Kind.ALL_LOST) and now.stock.error is None:
        try:
            found = assess(cluster)
        except RequorumError:
            pass  # the guidance names `requorum plan`, which shows the error
        else:
            return found.survey, found.diagnosis, found.guidance(settings), found.conditions
    known, changed = conditions(cluster, now), differs(cluster, now).alters
    guidance = guide(settings, now.survey, now.diagnosis, changed=changed, unfinished=now.unfinished)
    return now.survey, now.diagnosis, completed(guidance, now.diagnosis.kind, known, now.stock.error), known
