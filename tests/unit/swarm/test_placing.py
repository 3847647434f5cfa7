"""Which services would have no place for their tasks if a node took none."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.swarm.entries import Member
from recovery.swarm.placing import ALONE, Load, Needs, Placed, Room, meets, without_place

GIB = 1 << 30


def room(name: str, **changes: Any) -> Room:
    member = {"role": "worker", "availability": "active", "ready": True, **changes.pop("member", {})}
    entry = Member(node_id=f"id-{name}", hostname=name, address="10.77.1.21", **member)
    return Room(entry, **{"os": "linux", "architecture": "x86_64", "cpus": 2_000_000_000, "memory": 4 * GIB, **changes})


def load(*tasks: tuple[str, Needs], rooms: tuple[Room, ...] = ()) -> Load:
    return Load(rooms or (room("one"), room("two")), tuple(Placed(f"id-{where}", needs) for where, needs in tasks))


WEB = Needs("web")
LABELLED = room("one", member={"labels": {"disk": "ssd"}})


def test_a_task_moves_to_another_node() -> None:
    assert without_place(load(("one", WEB), ("two", WEB)), "id-one") == {}


@pytest.mark.parametrize(
    ("needs", "rooms", "reason"),
    [
        (WEB, (room("one"), room("two", member={"availability": "drain"})), ALONE),
        (WEB, (room("one"), room("two", member={"availability": "pause"})), ALONE),
        (WEB, (room("one"), room("two", member={"ready": False})), ALONE),
        (WEB, (room("one"),), ALONE),
        (replace(WEB, constraints=("node.labels.disk == ssd",)), (LABELLED, room("two")), "no other node meets"),
        (
            replace(WEB, everywhere=True, constraints=("node.hostname==one",)),
            (room("one"), room("two")),
            "no other node",
        ),
        (replace(WEB, platforms=(("linux", "arm64"),)), (room("one", architecture="aarch64"), room("two")), "platform"),
        (replace(WEB, memory=5 * GIB), (room("one"), room("two")), "too little memory"),
        (replace(WEB, cpus=3_000_000_000), (room("one"), room("two")), "too few CPUs"),
    ],
)
def test_a_service_that_no_other_node_takes_is_named_with_the_reason(
    needs: Needs, rooms: tuple[Room, ...], reason: str
) -> None:
    found = without_place(load(("one", needs), rooms=rooms), "id-one")
    assert list(found) == ["web"]
    assert reason in found["web"]


def test_what_other_tasks_have_reserved_is_not_free() -> None:
    large = Needs("db", memory=3 * GIB)
    assert list(
        without_place(load(("one", WEB), ("one", large), ("two", replace(large, service="other"))), "id-one")
    ) == ["db"]


def test_tasks_that_move_count_for_those_that_move_after_them() -> None:
    large = Needs("db", memory=3 * GIB)
    assert list(without_place(load(("one", large), ("one", replace(large, service="other"))), "id-one")) == ["other"]


def test_a_port_of_a_node_is_used_once() -> None:
    host = replace(WEB, ports=frozenset({"80/tcp"}))
    assert "no free port 80/tcp" in without_place(load(("one", host), ("two", host)), "id-one")["web"]
    assert without_place(load(("one", host), ("two", Needs("dns", ports=frozenset({"80/udp"})))), "id-one") == {}


def test_the_most_replicas_of_a_node() -> None:
    limited = replace(WEB, most_per_node=1)
    assert "1 each" in without_place(load(("one", limited), ("two", limited)), "id-one")["web"]
    assert without_place(load(("one", limited)), "id-one") == {}


def test_a_global_service_only_loses_its_task_on_the_node() -> None:
    everywhere = Needs("agent", everywhere=True, ports=frozenset({"9100/tcp"}), memory=3 * GIB)
    assert without_place(load(("one", everywhere), ("two", everywhere)), "id-one") == {}


@pytest.mark.parametrize(
    ("constraint", "met"),
    [
        ("node.hostname==ONE", True),
        ("node.hostname != one", False),
        ("node.role == worker", True),
        ("node.role!=worker", False),
        ("node.id==id-one", True),
        ("node.ip==10.77.0.0/16", True),
        ("node.ip!=10.77.1.21", False),
        ("node.ip==no network", False),
        ("Node.Labels.disk==ssd", True),
        ("node.labels.Disk==ssd", False),
        ("node.labels.other!=x", True),
        ("engine.labels.kind==fast", True),
        ("node.platform.os==linux", True),
        ("node.platform.arch==x86_64", True),
        ("node.colour==red", False),
        ("nothing", False),
    ],
)
def test_constraints_are_those_of_swarm(constraint: str, met: bool) -> None:
    assert meets(constraint, replace(LABELLED, engine_labels={"kind": "fast"})) is met


@given(st.lists(st.tuples(st.sampled_from(["one", "two"]), st.integers(0, 4)), max_size=12))
def test_without_needs_there_is_always_a_place_and_enough_memory_is_never_refused(tasks: list[tuple[str, int]]) -> None:
    placed = [(where, Needs(f"s{size}", memory=size * GIB // 64)) for where, size in tasks]
    assert without_place(load(*placed), "id-one") == {}
    alone = without_place(load(*placed, rooms=(room("one"),)), "id-one")
    assert alone.keys() == {needs.service for where, needs in placed if where == "one"}
