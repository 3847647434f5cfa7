"""The status of a cluster as one HTML page, from its JSON (docs/json.md). Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from recovery.operations.page.parts import Answer, Box, Votes, called, sentence, several, zones
from recovery.operations.page.theme import render
from recovery.operations.page.words import moment
from recovery.planning.diagnosis import Kind
from recovery.planning.standing import Mark
from recovery.spans import span

WELL = "Nothing needs to be done. The agents and timers that take copies go on."
WARNED = "The swarm works, and keeps its quorum. See the warnings below."
GRAVE = 4
"""The exit status of a lost quorum."""
UNCLEAR = frozenset({Kind.FORKED, Kind.FOREIGN})
"""A leader of such machines may lead another swarm than the cluster's."""


def page(status: Mapping[str, Any]) -> str:
    """The page. It answers an operator's five questions first, then shows the nodes by zone and the conditions."""
    nodes = status["nodes"]
    boxes = [_box(node, status) for node in nodes]
    first = sorted(
        zip(nodes, boxes, strict=True), key=lambda pair: (pair[1].mark is Mark.FINE, pair[0]["zone"], pair[0]["role"])
    )
    return render(
        "status.html",
        cluster=status["cluster"],
        mark=_mark(status),
        state=sentence(status["state"]),
        taken=moment(status["taken"]),
        identity=status["clusterId"] or "",
        answers=_answers(status),
        zones=zones(boxes),
        votes=_votes(nodes) if status["quorum"] is not None and status["diagnosis"] != Kind.ABSENT else None,
        nodes=first,
        others=status["others"],
        conditions=status["conditions"],
        warnings=status["warnings"],
        evidence=status["evidence"],
        store_error=status["storeError"] or "",
        ages={node["name"]: _copied(node, status) for node in nodes if node["role"] == "manager"},
        remarks={node["name"]: _remarks(node) for node in nodes},
    )


def _mark(status: Mapping[str, Any]) -> Mark:
    if status["quorum"] is None:
        return Mark.SILENT
    return Mark.FINE if status["exitCode"] == 0 else Mark.LOST if status["exitCode"] == GRAVE else Mark.OTHER


def _answers(status: Mapping[str, Any]) -> tuple[Answer, ...]:
    return (_up(status), _lost(status), _will(status), _copy(status), _run(status))


def _up(status: Mapping[str, Any]) -> Answer:
    quorum = None if status["diagnosis"] in UNCLEAR else status["quorum"]
    up = {True: "Yes", False: "No", None: "Not known"}[quorum]
    return Answer("Is it up?", f"{up}: {status['state']}", sentence(status["sentence"]), _mark(status))


def _lost(status: Mapping[str, Any]) -> Answer:
    lost = [node["name"] for node in status["nodes"] if node["standing"] == Mark.LOST]
    silent = [node["name"] for node in status["nodes"] if node["standing"] == Mark.SILENT]
    unknown = f"{several(silent)}: not seen, may be alive" if silent else ""
    if lost:
        return Answer("What is lost?", several(lost), unknown, Mark.LOST)
    if silent:
        return Answer("What is lost?", "Nothing is known to be lost", unknown, Mark.SILENT)
    return Answer("What is lost?", "Nothing", "", Mark.FINE)


def _will(status: Mapping[str, Any]) -> Answer:
    return Answer("What will happen?", status["meaning"] or (WARNED if status["warnings"] else WELL))


def _run(status: Mapping[str, Any]) -> Answer:
    command = status["next"]
    return Answer("What do I run?", "" if command else "Nothing", command=command or "")


def _copy(status: Mapping[str, Any]) -> Answer:
    question, nodes = "How old is the copy?", [node for node in status["nodes"] if node["role"] == "manager"]
    ages = {node["name"]: node["lastProvenCopyAge"] for node in nodes if node["lastProvenCopyAge"] is not None}
    if status["storeError"]:
        return Answer(question, "Not known", "Requorum cannot list the copies", Mark.SILENT)
    if not ages:
        unproven = [node["lastCopyAge"] for node in nodes if node["lastCopyAge"] is not None]
        newest_one = f"The newest copy is {_age(min(unproven))} old, and not proven" if unproven else "There is no copy"
        return Answer(question, "There is no proven copy", newest_one, Mark.LOST)
    newest, oldest = min(ages, key=ages.__getitem__), max(ages, key=ages.__getitem__)
    lacks = [node["name"] for node in nodes if node["name"] not in ages]
    rest = f"Without a proven copy: {several(lacks)}" if lacks else ""
    if not lacks and len(ages) > 1:
        rest = f"The oldest of the managers: {_age(ages[oldest])} ({called(oldest)})"
    unmet = {one["name"]: one for one in status["conditions"] if one["state"] != "OK"}
    late = [unmet[name] for name in (f"copy of {node['name']}" for node in nodes) if name in unmet]
    if late and not lacks and late[0]["limit"]:
        rest = f"{rest}. Your limit: {late[0]['limit']}".removeprefix(". ")
    mark = Mark.OTHER if lacks or late else Mark.FINE
    return Answer(question, f"{_age(ages[newest])} ({called(newest)}, proven)", rest, mark)


def _box(node: Mapping[str, Any], status: Mapping[str, Any]) -> Box:
    mark = Mark(node["standing"])
    word = node["standingWord"] or {Mark.FINE: "ready"}.get(
        mark, "state unknown" if node["state"] == "unknown" else node["state"]
    )
    role = "leader" if node["leader"] else node["role"]
    copied = _copied(node, status)
    proven = {"none": "no proven copy", "unknown": "copies unknown"}.get(copied, f"proven copy {copied} old")
    note = proven if node["role"] == "manager" else node["address"]
    return Box(node["name"], node["zone"], role, mark, word, note)


def _votes(nodes: Sequence[Mapping[str, Any]]) -> Votes:
    managers = [node for node in nodes if node["role"] == "manager"]
    return Votes(len(managers), sum(node["reachability"] == "reachable" for node in managers))


def _copied(node: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    """The age of a manager's newest proven copy. If S3 cannot be read, there may be one."""
    age = node["lastProvenCopyAge"]
    return _age(age) if age is not None else "unknown" if status["storeError"] else "none"


def _remarks(node: Mapping[str, Any]) -> str:
    """What there is to say of a node beside its state."""
    availability, kept = node["availability"], node["maintenance"]
    until = f" until {moment(kept['until'])}" if kept and kept["until"] else ""
    words = (
        availability if availability != "active" else "",
        f"maintenance{until}" if kept else "",
        node["detail"],
        f"drift: {node['drift']}" if node["drift"] else "",
    )
    return ", ".join(filter(None, words))


def _age(seconds: int) -> str:
    return span(max(0, seconds))
