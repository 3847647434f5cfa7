"""Plans of what is found, and what they are made of."""

from dataclasses import replace
from typing import Any

from recovery.copies.copy import Choice, Copy, Rejected
from recovery.planning.decide import make_plan
from recovery.planning.diagnosis import diagnose
from recovery.planning.plan import Plan, Source
from recovery.settings import Settings
from recovery.swarm.machines import Node
from recovery.swarm.model import NodeReport, Reach
from recovery.swarm.moved import AddressChange
from recovery.swarm.survivor import Survivor
from recovery.swarm.wal import Position
from tests.unit import factories as make
from tests.unit.planning.test_diagnosis import A, B, C, S

LOST = [make.gone(node) for node in S.managers] + [make.worker(node) for node in S.workers]


def choice(name: str = "manager-a", address: str = "10.77.1.11") -> Choice:
    manifest = make.manifest(name, address=address)
    return Choice(make.copy_of(manifest), manifest)


def passed(why: str, *names: str, code: str = "", recipients: tuple[str, ...] = ()) -> tuple[Rejected, ...]:
    """Copies that are not restored, one of each manager, all for the same reason."""
    return tuple(Rejected(choice(name).copy, why, code, recipients) for name in names or ("manager-a",))


def plan(
    reports: list[NodeReport],
    *,
    recover: bool | str = False,
    spent: bool = False,
    typed: bool = False,
    chosen: Choice | None = None,
    rejected: tuple[Rejected, ...] = (),
    elsewhere: Choice | None = None,
    survivors: tuple[Survivor, ...] = (),
    moved: tuple[AddressChange, ...] = (),
    copies: bool = True,
    copy: str | None = None,
    newer: Choice | None = None,
    ahead: Copy | None = None,
    proven: str = "",
    without: tuple[str, ...] = (),
) -> Plan:
    seen = make.survey(reports)
    found = diagnose(seen, make.CLUSTER if copies else None, cluster="lab", copies=copies)
    of = S.model_copy(update={"recover": recover, "copy_from": copy})
    cas = seen.cas(make.CLUSTER)
    source = Source(
        chosen, rejected, newer, cas, moved=moved, ahead=ahead, proven=proven, elsewhere=elsewhere, without=without
    )
    return make_plan(found, of, source, survivors, make.NOW, spent=spent, typed=typed)


def changed(report: NodeReport, name: str, **changes: Any) -> NodeReport:
    """The report with one entry of its node list changed."""
    members = tuple(replace(m, **changes) if m.hostname == name else m for m in report.members)
    return replace(report, members=members)


def doubled(report: NodeReport, name: str, **changes: str) -> NodeReport:
    """The report with an entry more at the address of a node, as a machine before it leaves it."""
    old = next(replace(m, node_id="id-before", ready=False, **changes) for m in report.members if m.hostname == name)
    return replace(report, members=(*report.members, old))


VOTELESS = {"manager_address": "", "reachable": False}
MOVED = tuple(
    AddressChange(node.name, f"id-{node.name}", f"10.70.0.{place}", str(node.address))
    for place, node in enumerate((A, B, C), 1)
)
FRESH, STALE = Survivor("manager-b", Position(3, 57, 56)), Survivor("manager-a", Position(3, 40, 40))


def two_of_five_left() -> tuple[Settings, list[NodeReport]]:
    five = make.settings(5, recover=True)
    left = [make.leaderless(five.managers[0]), make.leaderless(five.managers[1])]
    return five, left + [make.gone(node) for node in five.managers[2:]]


def named(node: Node) -> NodeReport:
    return replace(make.silent(node), reach=Reach.NAMED, named="declared lost 1 min ago by ops@desk: switched off")
