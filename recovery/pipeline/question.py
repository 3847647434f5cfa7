"""What a watcher or a job without a forge sends to people: the plan that it asks consent to, or what is wrong. Plain text."""

from recovery.pipeline.consent_line import KEY
from recovery.pipeline.picture import Picture, source_of

AT_LEAST = "Do not consent if a machine that is called lost may still run. Start it instead."


def question(now: Picture, why: str, copied: str, how: str) -> tuple[str, ...]:
    """The plan, its source, what is lost, and how to consent to it."""
    lost = dict.fromkeys((*now.diagnosis.missing, *now.diagnosis.away))
    return (
        *now.guidance.text,
        why,
        f"source: {source_of(now.plan)}",
        *([f"newest copy taken: {copied}"] if copied else []),
        f"lost nodes: {', '.join(lost) or 'none is known to be lost'}",
        *now.lines,
        AT_LEAST,
        f"to consent: {how}",
    )


def command(now: Picture) -> str:
    """The command that consents to the plan of now."""
    return f"requorum consent {now.plan.id} --stack {now.stack}"


def by_file(now: Picture) -> str:
    """How to consent where no watcher takes `requorum consent`: by the stack file, or at a terminal."""
    return f"commit the line {KEY}: {now.plan.id}, or run: {now.guidance.command}"


def report(now: Picture, why: str) -> tuple[str, ...]:
    """What is wrong, why the watcher does nothing, and what to run."""
    command = now.guidance.command
    return (
        *now.guidance.text,
        *([why] if why not in now.guidance.sentence else []),
        *now.lines,
        *([f"next: {command}"] if command else []),
    )
