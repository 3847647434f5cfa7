"""The evidence of a diagnosis in words: what each node answered, and which zones are lost."""

from collections.abc import Collection, Iterator

from recovery.swarm.model import NodeReport, Reach, Survey


def evidence(survey: Survey, missing: Collection[str]) -> tuple[str, ...]:
    """A line for each lost zone, then a line for each node. ``missing`` are the names of the nodes in no swarm."""
    return (*_lost_zones(survey, missing), *map(_answer, survey.reports))


def _lost_zones(survey: Survey, missing: Collection[str]) -> Iterator[str]:
    """Zones whose nodes are all lost, if another zone has nodes left."""
    zones: dict[str, list[str]] = {}
    for report in survey.reports:
        zones.setdefault(report.node.zone, []).append(report.node.name)
    lost = {zone: names for zone, names in zones.items() if set(names) <= set(missing)}
    if len(lost) < len(zones):
        yield from (f"zone {zone} is lost: {', '.join(names)}" for zone, names in lost.items())


def _answer(report: NodeReport) -> str:
    """What one node answered, or why it did not answer."""
    name = report.node.name
    if report.full:
        return f"{name}: its disk is full: {report.full}"
    if report.damage:
        return f"{name}: its raft log is damaged: {report.damage}"
    if report.reach is not Reach.ANSWERS:
        detail = report.named or report.detail
        return f"{name}: {report.reach}" + (f" ({detail})" if detail else "")
    if not report.in_swarm:
        return f"{name}: up, in no swarm" + (", with an unused raft log on its disk" if report.left_over else "")
    place = "manager with a leader" if report.led else "manager without a leader" if report.raft else "worker"
    return f"{name}: up, {report.state}, {place}"
