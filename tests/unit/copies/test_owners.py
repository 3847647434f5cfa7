"""Copies belong to machines: what a manager was called when they were taken does not matter."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.copies import owners
from recovery.copies.catalog import Catalog
from recovery.copies.choice import newest_good
from recovery.copies.copy import Copy
from recovery.copies.escrow import Escrow
from recovery.copies.latest import recent
from recovery.copies.manifest import Proof, Verdict
from recovery.copies.naming import short
from recovery.copies.retention import candidate, decide
from recovery.node.signing import Kind
from recovery.operations.drill import Drill, as_document
from recovery.operations.readiness import stock_of
from recovery.planning.address_changes import since_copied
from recovery.settings import Settings
from tests.unit import factories as make
from tests.unit.copies.candidates import DAY, HOUR, NOW, policy
from tests.unit.copies.stored import NAMES, put

S = make.settings()
A, B, C = (str(node.address) for node in S.managers)
GOOD = {"proof": Proof(Verdict.PROVEN, make.NOW)}


def named(*names: str) -> Settings:
    """The settings with these names for the managers."""
    managers = tuple(replace(node, name=name) for node, name in zip(S.managers, names, strict=True))
    return S.model_copy(update={"managers": managers})


RENAMED, EXCHANGED = named("m1", "m2", "m3"), named("manager-b", "manager-c", "manager-a")


@pytest.mark.parametrize(
    ("of", "manager", "address", "node_id", "owner"),
    [
        (S, "manager-a", A, "new", "manager-a"),
        (RENAMED, "manager-a", A, "new", "m1"),
        (EXCHANGED, "manager-a", A, "new", "manager-b"),
        (S, "manager-a", "10.77.9.9", "new", "manager-a at 10.77.9.9"),
        (RENAMED, "manager-a", "10.77.9.9", "id-manager-a", "m1"),
        (EXCHANGED, "manager-a", "10.77.9.9", "id-manager-a", "manager-b"),
        (RENAMED, "manager-a", "10.77.9.9", "new", "manager-a"),
    ],
    ids=[
        "its name and address",
        "renamed",
        "its name is another's now",
        "an earlier machine of its name",
        "before it moved and was renamed",
        "before it moved, and its name is another's now",
        "a manager that is gone",
    ],
)
def test_whose_copy_it_is(of: Settings, manager: str, address: str, node_id: str, owner: str) -> None:
    known = owners.known(of.nodes, [make.manifest(name) for name in NAMES])
    assert known.of(make.manifest(manager, address=address, node_id=node_id)) == owner


def test_a_copy_under_another_ca_says_nothing_of_whose_the_swarm_s_copies_are() -> None:
    forged = make.manifest("manager-b", node_id="id-manager-a", ca_sha256="0" * 64)
    known = owners.known(S.nodes, [make.manifest("manager-a"), forged])
    assert known.of(make.manifest("manager-a", address="10.77.9.9")) == "manager-a"


@pytest.mark.parametrize("of", [RENAMED, EXCHANGED], ids=["renamed", "exchanged"])
def test_copies_of_before_count_for_their_machine(of: Settings, bucket: Any, tmp_path: Path) -> None:
    copies = {name: put(S, tmp_path, name, minutes, **GOOD) for minutes, name in enumerate(NAMES, 1)}
    catalog = Catalog(of)
    mine = dict(zip((node.name for node in of.managers), copies.values(), strict=True))
    assert catalog.newest_by_manager() == mine
    names = [node.name for node in of.managers]
    with newest_good(catalog, Escrow(of), names, make.CLUSTER) as found:
        assert found.choice is not None
        assert (found.choice.copy, found.choice.manager) == (copies["manager-a"], of.managers[0].name)
    for name in names:
        with newest_good(catalog, Escrow(of), [name], make.CLUSTER, whole=False) as found:
            assert found.choice is not None
            assert found.choice.copy == mine[name]
    assert not since_copied(of.nodes, catalog.newest_of_machines, make.CLUSTER, None), "nobody moved"


@pytest.mark.parametrize("of", [RENAMED, EXCHANGED], ids=["renamed", "exchanged"])
def test_a_check_and_an_operator_find_copies_and_drills_by_the_name_of_now(
    of: Settings, bucket: Any, tmp_path: Path
) -> None:
    old, new = (
        {name: put(S, tmp_path, name, minutes + less, **GOOD) for minutes, name in enumerate(NAMES)} for less in (9, 1)
    )
    for number, name in enumerate(NAMES):
        drill = Drill(new[name], name, Proof(Verdict.PROVEN, make.NOW + number * HOUR), 1.0, 2.0)
        key = S.keys.drill(name)
        bucket.put_object(Key=key, Body=Cluster(S).operators.sign(Kind.DRILL, key, as_document(drill)))
    catalog = Catalog(of)
    stock = stock_of(Cluster(of), catalog)
    for number, (before, now) in enumerate(zip(NAMES, (node.name for node in of.managers), strict=True)):
        assert [copy for copy, _ in stock.copies[now]] == [new[before]]
        assert stock.first[now] == old[before].taken
        assert stock.drills[now].at == make.NOW + number * HOUR
        assert catalog.named(now) == new[before]
        for copy in (old[before], new[before]):
            assert catalog.named(short(copy)) == copy
    assert stock.further


def test_a_copy_is_found_by_the_name_of_now_and_its_time(bucket: Any, tmp_path: Path) -> None:
    copy = put(S, tmp_path, "manager-a", 1)
    assert Catalog(RENAMED).named(f"m1@{copy.taken:%Y-%m-%d}") == copy


def test_after_a_rename_the_proven_copy_under_the_old_name_still_counts(bucket: Any, tmp_path: Path) -> None:
    proven = put(S, tmp_path, "manager-a", 9, **GOOD)
    newest = put(RENAMED, tmp_path, "m1", 1)
    assert [copy for copy, _ in recent(Catalog(RENAMED))["m1"]] == [newest, proven]


def test_a_manager_that_moved_is_not_looked_for_under_its_name_once_it_has_a_copy_from_there() -> None:
    """A manager that is gone had the name before: its copies do not say that the one of now moved."""
    gone, own = make.manifest("manager-a", address="10.77.9.9", node_id="gone"), make.manifest("before", address=A)
    newest = {make.copy_of(made): made for made in (gone, own)}
    assert not since_copied(S.nodes, newest, make.CLUSTER, None)
    assert [move.old for move in since_copied(S.nodes, {make.copy_of(gone): gone}, make.CLUSTER, None)] == ["10.77.9.9"]


def test_copies_under_two_names_of_one_machine_are_kept_together() -> None:
    known = owners.known(RENAMED.nodes, ())
    made = [make.manifest("manager-a", taken=NOW - 9 * DAY), make.manifest("m1", address=A, taken=NOW - 2 * HOUR)]
    of_b = make.manifest("manager-b", taken=NOW - 9 * DAY)
    judged = [candidate(make.copy_of(one), replace(one, **GOOD), None, known) for one in (*made, of_b)]
    kept = {decision.copy: decision.keep for decision in decide(policy(last=1), judged, NOW)}
    old, new, other = (make.copy_of(one) for one in (*made, of_b))
    assert kept == {old: False, new: True, other: True}


def test_the_last_copy_of_a_machine_is_kept_though_another_has_its_name_now() -> None:
    known = owners.known(EXCHANGED.nodes, ())
    mine = make.manifest("manager-a", taken=NOW - 9 * DAY)
    others = [make.manifest("manager-a", address=C, taken=NOW - hours * HOUR) for hours in (2, 3, 4)]
    judged = [candidate(make.copy_of(one), replace(one, **GOOD), None, known) for one in (mine, *others)]
    kept: list[Copy] = [decision.copy for decision in decide(policy(last=1), judged, NOW) if decision.keep]
    assert kept == [make.copy_of(others[0]), make.copy_of(mine)]


def test_a_machine_keeps_its_copies_though_another_has_its_name_and_copied_since(bucket: Any, tmp_path: Path) -> None:
    """Of five managers without names, the last three are left, and the last one was copied under its new name."""
    for minutes, name in enumerate(NAMES, 1):
        put(S, tmp_path, name, minutes, **GOOD)
    mine = Catalog(S).newest_by_manager()["manager-b"]
    put(EXCHANGED, tmp_path, "manager-b", 0, node_id="id-manager-a")
    left = S.model_copy(update={"managers": (replace(S.managers[1], name="left"), *EXCHANGED.managers[:1])})
    catalog = Catalog(left)
    with newest_good(catalog, Escrow(left), ["left"], make.CLUSTER, whole=False) as found:
        assert found.choice is not None
        assert found.choice.copy == mine
    assert not since_copied(left.nodes, catalog.newest_of_machines, make.CLUSTER, None), "nobody moved"


def test_a_manager_that_is_a_worker_now_has_not_moved_to_the_machine_that_has_its_name() -> None:
    worker = S.workers[0]
    nodes = (replace(worker, name="manager-a", role="manager"), replace(S.managers[0], name="w", role="worker"))
    made = make.manifest("manager-a")
    assert not since_copied(nodes, {make.copy_of(made): made}, make.CLUSTER, None)
    assert owners.known(nodes, [made]).of(made) == "w"
