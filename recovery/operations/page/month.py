"""One month of a cluster as one HTML page for an auditor, from its JSON (docs/json.md). Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from recovery.operations.page.parts import Answer, sentence, several
from recovery.operations.page.theme import render
from recovery.operations.page.words import duration, length, moment
from recovery.planning.standing import Mark
from recovery.spans import span

VERDICTS = {"proven": Mark.FINE, "failed": Mark.LOST}
SHOWN = 50
"""The most outages that the page lists, the longest ones. The JSON has all."""
UNWATCHED_PART = 0.01
"""Of a month of which more was not watched, nobody can say that a quorum was never lost."""
DAY, HIGH = 86400, 64
LEAST = 4.0
"""How high a loss is drawn at least, of `HIGH`."""


def page(month: Mapping[str, Any]) -> str:
    """The page. It answers an auditor's five questions first, and then shows what the answers are counted from."""
    availability = month["availability"]
    outages = sorted(availability["outages"], key=lambda one: -one["seconds"])[:SHOWN]
    return render(
        "month.html",
        cluster=month["cluster"],
        month=month["month"],
        begun=moment(month["begun"]),
        ended=moment(month["ended"]),
        taken=moment(month["taken"]),
        answers=_answers(month),
        days=[_bars(day) for day in availability["days"]],
        high=HIGH,
        outages=[{**one, "begun": moment(one["begun"]), "took": span(one["seconds"])} for one in outages],
        hidden=len(availability["outages"]) - len(outages),
        copies=[_copies(one) for one in month["copies"]],
        drills=[
            {**one, "at": moment(one["at"]), "mark": VERDICTS.get(one["verdict"], Mark.SILENT)}
            for one in month["drills"]
        ],
        recoveries=[_recovery(one) for one in month["recoveries"]],
        notes=month["notes"],
    )


def _answers(month: Mapping[str, Any]) -> tuple[Answer, ...]:
    return (_up(month["availability"]), _lost(month), _aged(month["copies"]), _drilled(month["drills"]), _back(month))


def share(of: float) -> str:
    """A share in percent. Only all of it is 100 %."""
    return "100 %" if of == 1 else f"{min(100 * of, 99.999):.3f} %"


def _up(availability: Mapping[str, Any]) -> Answer:
    found, unknown = availability["share"], availability["unknownSeconds"]
    seen = availability["quorumSeconds"] + availability["lostSeconds"]
    rest = f"{span(seen)} were watched, {span(unknown)} were not"
    mark = Mark.SILENT if found is None else Mark.FINE if found == 1 else Mark.OTHER
    said = "Not known" if found is None else f"{share(found)} of the time that was watched"
    return Answer("How long had the swarm a quorum?", said, rest, mark)


def _lost(month: Mapping[str, Any]) -> Answer:
    outages, seconds = month["availability"]["outages"], month["availability"]["lostSeconds"]
    if month["availability"]["share"] is None:
        return Answer("How long had it none?", "Not known", "No agent watched, and no report tells", Mark.SILENT)
    longest = max((one["seconds"] for one in outages), default=0)
    unknown, seen = month["availability"]["unknownSeconds"], month["availability"]["quorumSeconds"]
    if not outages and unknown > (seen + unknown) * UNWATCHED_PART:
        return Answer("How long had it none?", "Never seen", f"{span(unknown)} were not watched", Mark.SILENT)
    times = "once" if len(outages) == 1 else f"{len(outages)} times"
    detail = f"{sentence(times)}, the longest {span(longest)}" if outages else ""
    return Answer(
        "How long had it none?", span(seconds) if outages else "Never", detail, Mark.LOST if outages else Mark.FINE
    )


def _aged(copies: Sequence[Mapping[str, Any]]) -> Answer:
    question = "How old was the newest copy at most?"
    ages = {one["manager"]: one["longestSeconds"] for one in copies if one["longestSeconds"] is not None}
    dropped = {one["manager"]: one["recordedFrom"] for one in copies if one["recordedFrom"]}
    lacks = [one["manager"] for one in copies if one["longestSeconds"] is None and one["manager"] not in dropped]
    rest = f"Without a proven copy: {several(lacks)}" if lacks else ""
    if dropped:
        rest = f"Copies before {moment(min(dropped.values()))} that were pruned are not recorded. {rest}".rstrip()
    if not ages and dropped:
        return Answer(question, "Not known", rest, Mark.SILENT)
    if not ages:
        return Answer(question, "There was no proven copy", rest, Mark.LOST)
    worst, best = max(ages, key=ages.__getitem__), min(ages, key=ages.__getitem__)
    detail = rest or f"Of the worst manager: {span(ages[worst])} ({worst})"
    mark = Mark.OTHER if lacks else Mark.SILENT if dropped else Mark.FINE
    return Answer(question, f"{span(ages[best])} ({best}, proven)", detail, mark)


def _drilled(drills: Sequence[Mapping[str, Any]]) -> Answer:
    question, failed = "Did the drills succeed?", [one for one in drills if one["verdict"] != "proven"]
    if not drills:
        return Answer(question, "There was none", "", Mark.LOST)
    if failed:
        names = several(list(dict.fromkeys(one["manager"] for one in failed)))
        return Answer(question, f"{len(failed)} of {len(drills)} did not", names, Mark.LOST)
    return Answer(question, f"All {len(drills)}", f"The last one: {moment(drills[0]['at'])}", Mark.FINE)


def _back(month: Mapping[str, Any]) -> Answer:
    found = month["recoveries"]
    lost = [name for one in found for name in one["lost"]]
    said = f"{len(found)}, each with its proof" if found else "None"
    detail = f"Lost, and back: {several(list(dict.fromkeys(lost)))}" if lost else ""
    return Answer("Which recoveries were there?", said, detail, Mark.BACK if lost else Mark.FINE)


def _bars(day: Mapping[str, Any]) -> dict[str, Any]:
    """One day as a column: with a quorum from below, without one from above, and between them what nobody watched."""
    high = {key: HIGH * day[f"{key}Seconds"] / DAY for key in ("quorum", "lost")}
    words = f"{day['day']}: {span(day['lostSeconds'])} without a quorum, {span(day['unknownSeconds'])} not watched"
    ill = min(max(high["lost"], LEAST if day["lostSeconds"] else 0.0), HIGH)
    return {"words": words, "number": int(day["day"][-2:]), "well": min(high["quorum"], HIGH - ill), "ill": ill}


def _copies(one: Mapping[str, Any]) -> dict[str, Any]:
    longest = "there was none" if one["longestSeconds"] is None else span(one["longestSeconds"])
    if one["recordedFrom"]:
        counted = "" if one["longestSeconds"] is None else f"{longest}, "
        longest = f"{counted}not known before {moment(one['recordedFrom'])}"
    none, lost = ("not known", Mark.SILENT) if one["recordedFrom"] else ("none in this month", Mark.LOST)
    newest = moment(one["newest"]) if one["newest"] else none
    return {**one, "longest": longest, "newest": newest, "mark": Mark.FINE if one["proven"] else lost}


def _recovery(one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **one,
        "ended": moment(one["ended"]),
        "lost": several(one["lost"]) or "nothing",
        "outage": length(one["outage"], duration) if one["outage"] else "the quorum was kept",
        "rto": duration(float(one["rto"]["provenSeconds"])),
    }
