"""A cluster as a job tells of it: comments, issues and requests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from recovery.pipeline.markdown import code, fenced, folded, marker, plain
from recovery.pipeline.zones import diagram
from recovery.plain import line
from recovery.planning.diagnosis import Diagnosis
from recovery.planning.guidance import Guidance
from recovery.planning.plan import Plan
from recovery.swarm.model import Survey

REST = "The text is cut here. The job's artifacts have all of it."
"""The note where a text is cut at the limit of a forge."""


@dataclass(frozen=True)
class Picture:
    """The state of a cluster, and the plan for it."""

    stack: str
    survey: Survey
    diagnosis: Diagnosis
    guidance: Guidance
    plan: Plan
    lines: tuple[str, ...] = ()
    """The plan and the other changes, as preview shows them."""
    refusal: str = ""
    """Why `pulumi up` would refuse to begin."""
    faults: tuple[str, ...] = ()
    """The conditions of a recovery that are not met, a line each."""

    @property
    def state(self) -> list[str]:
        """What is wrong, where, and what it means."""
        return [
            *(part for line in self.guidance.text for part in (plain(line), "")),
            *fenced(diagram(self.survey, self.diagnosis), "mermaid"),
        ]

    @property
    def steps(self) -> list[str]:
        """The plan, or that there is none, and what stands against it."""
        if not self.lines and not self.refusal:
            return ["Requorum would change nothing in the swarm."]
        refused = ["", f"**Refused:** {plain(self.refusal)}"] if self.refusal else []
        return [*(fenced(self.lines) if self.lines else ()), *refused]


@dataclass(frozen=True)
class Resources:
    """What `pulumi preview` says of the stack's resources."""

    counts: Mapping[str, int] = field(default_factory=dict)
    """How many resources it would create, update, delete, replace or leave the same."""
    changed: tuple[tuple[str, str, str], ...] = ()
    """Operation, type and name of each resource that changes."""
    fault: tuple[str, ...] = ()
    """The last lines of a preview that failed."""


def preview(picture: Picture, resources: Resources | None, run: str) -> str:
    """The comment on a pull request. ``run`` is the address of the job."""
    lines = [
        marker(picture.stack),
        f"### Stack {plain(picture.stack)}: {plain(picture.guidance.state)}",
        "",
        *picture.state,
        "",
        "#### Plan",
        "",
        *picture.steps,
        *(_resources(resources) if resources else ()),
        *_next(picture),
        *_faults(picture),
        *_run(run),
    ]
    return "\n".join(lines) + "\n"


def failed(stack: str, why: str, run: str) -> str:
    """The comment on a pull request for which there is no plan."""
    head = [marker(stack), f"### Stack {plain(stack)}: no plan", ""]
    return "\n".join([*head, *fenced([why]), *_run(run)]) + "\n"


def _resources(resources: Resources) -> list[str]:
    if resources.fault:
        return ["", "#### `pulumi preview` failed", "", *fenced(resources.fault)]
    counts = ", ".join(f"{count} {plain(name)}" for name, count in sorted(resources.counts.items()))
    table = ["| operation | type | name |", "|---|---|---|"]
    rows = [f"| {' | '.join(plain(cell) for cell in row)} |" for row in resources.changed]
    shown = folded(f"Pulumi: {counts}", [*table, *rows]) if rows else [f"Pulumi: {counts or 'no resources'}"]
    return ["", *shown]


def _next(picture: Picture) -> list[str]:
    return ["", "Next:", "", *fenced([picture.guidance.command], "sh")] if picture.guidance.command else []


def _faults(picture: Picture) -> list[str]:
    return ["", *folded(f"{len(picture.faults)} conditions", fenced(picture.faults))] if picture.faults else []


def _run(run: str) -> list[str]:
    return ["", f"[the job]({run})"] if run else []


def issue(picture: Picture, why: str, request: str = "") -> tuple[str, str]:
    """Title and text of the issue about a loss. ``request`` is the address of the request that consents to the plan."""
    ask = (f"To recover, merge {request}, or run:" if request else "Next:") if picture.guidance.command else ""
    lines = [
        marker(picture.stack, "watch"),
        *picture.state,
        "",
        *([plain(why), ""] if why not in picture.guidance.sentence else []),
        *picture.steps,
        *(["", ask, "", *fenced([picture.guidance.command], "sh")] if ask else []),
        *_faults(picture),
    ]
    return f"Stack {picture.stack}: {picture.guidance.state}", "\n".join(lines) + "\n"


def consent(picture: Picture, copied: str) -> tuple[str, str]:
    """Title and text of the request that consents to the plan. ``copied`` says when the copy was taken."""
    plan = picture.plan
    lost = ", ".join(dict.fromkeys((*picture.diagnosis.missing, *picture.diagnosis.away))) or "none is known to be lost"
    lines = [
        marker(picture.stack, "consent"),
        f"**If you merge this request, you consent to plan `{plan.id}`, and the recover job carries it out.**",
        "",
        "The ID stands for this plan only. The job refuses any other plan. If the plan changes, another request takes the place of this one.",
        "",
        f"- source: {source_of(plan, code)}",
        *([f"- newest copy taken: {copied}"] if copied else []),
        f"- lost nodes: {plain(lost)}",
        "",
        *picture.state,
        "",
        "#### Plan",
        "",
        *fenced(picture.lines),
        "",
        "Do not merge if a machine that is called lost may still run. Start it instead, and wait for the next watch.",
    ]
    return f"Recover stack {picture.stack} by plan {plan.id}", "\n".join(lines) + "\n"


def source_of(plan: Plan, shown: Callable[[str], str] = line) -> str:
    """What the plan restores from, in words. ``shown`` quotes the name."""
    name = shown(str(plan.copy or plan.survivor))
    return f"copy {name}" if plan.copy else f"the log of the survivor {name}"
