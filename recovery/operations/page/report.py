"""The report of one recovery as one HTML page, from its JSON (docs/json.md). It also reads reports of earlier versions. Pure."""

from collections.abc import Mapping
from typing import Any

from recovery.operations.page.parts import Answer, Box, Votes, called, sentence, several, zones
from recovery.operations.page.theme import render
from recovery.operations.page.timeline import chart
from recovery.operations.page.words import duration, length, moment, rpo_words
from recovery.planning.diagnosis import Kind
from recovery.planning.standing import Mark

RESULTS = {"ok": Mark.FINE, "warning": Mark.OTHER, "failed": Mark.LOST, "not checked": Mark.SILENT}


def page(report: Mapping[str, Any]) -> str:
    """The page. It answers an operator's five questions first, then shows the nodes, the line of time and the proof."""
    boxes = [_box(node, report) for node in report.get("nodes") or ()]
    managers = [box for box in boxes if box.role != "worker"]
    return render(
        "report.html",
        cluster=report["cluster"],
        unsigned=report.get("unsigned") or "",
        title=_title(report),
        kept="is new" if _founds(report) else "was kept",
        verdict=report["verdict"],
        ended=moment(report["ended"]),
        identity=report["clusterId"],
        answers=_answers(report),
        figures=_figures(report),
        zones=zones(boxes),
        votes=Votes(len(managers), len(managers)) if managers else None,
        chart=chart(report["steps"], report["rto"]["quorumSeconds"]),
        losses=[str(loss) for loss in report["losses"]],
        runs=[_run(run) for run in report["runs"]],
        proof=[{**check, "mark": RESULTS.get(check["result"], Mark.OTHER)} for check in report["proof"]],
        next=[{"command": one["command"], "why": one["why"]} for one in report.get("next") or ()],
    )


def _founds(report: Mapping[str, Any]) -> bool:
    """Whether there was no swarm before."""
    return bool(report["diagnosis"] == Kind.ABSENT)


def _title(report: Mapping[str, Any]) -> str:
    """What happened to the cluster. Only what brings back what was lost is a recovery."""
    if _founds(report):
        return f"Founding of cluster {report['cluster']}"
    back = report["lost"] or report["copy"] or report["survivor"]
    what = sentence(report["diagnosis"] or "changed")
    return f"{'Recovery' if back else 'Change'} of cluster {report['cluster']}: {what}"


def _answers(report: Mapping[str, Any]) -> tuple[Answer, ...]:
    lost, losses = report["lost"], report["losses"]
    following = report.get("next") or ()
    warned = "warning" in report["verdict"]
    return (
        Answer(
            "Is it up?",
            f"Yes: {report['verdict']}",
            f"The leader is {called(report['leader'])}, as of {moment(report['ended'])}",
            Mark.OTHER if warned else Mark.FINE,
        ),
        Answer(
            "What was lost?",
            several(lost) if lost else "Nothing",
            sentence(losses[0]) if losses else "",
            Mark.BACK if lost else Mark.FINE,
        ),
        Answer("What happened?", *_source(report)),
        Answer("How old was the copy?" if report["copy"] else "What may be missing?", *_rpo(report)),
        Answer(
            "What do I run?",
            "" if following else "Nothing",
            sentence(following[0]["why"]) if following else "",
            command=following[0]["command"] if following else "",
        ),
    )


def _source(report: Mapping[str, Any]) -> tuple[str, str]:
    if report["copy"]:
        return "The swarm was restored from a copy", report["copy"]
    if report["survivor"]:
        return f"A new cluster was forced from {called(report['survivor'])}", "The same swarm goes on from its log"
    if _founds(report):
        return "The swarm was founded", f"It took {len(report['steps'])} steps"
    return "The quorum was kept", f"{len(report['steps'])} steps changed the swarm"


def _figures(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The figures that count, each with what it is counted from."""
    rto, outage, loss, consent = report["rto"], report.get("outage"), report.get("loss"), report.get("consent")
    found = [("RTO", duration(float(rto["provenSeconds"])), "from the first change to the proof")]
    if rto["quorumSeconds"] is not None:
        name = "Quorum after" if _founds(report) else "Quorum back after"
        found.append((name, duration(float(rto["quorumSeconds"])), "from the first change"))
    found.append(("RPO", *_rpo(report)))
    if outage:
        found.append(("Without a quorum", length(outage, duration), "from the loss to the new quorum"))
    if loss:
        began = moment(loss["began"]) if loss["began"] else "not known"
        seen = f"seen by {loss['seenBy']}" if loss["began"] else f"not after {moment(loss['notAfter'])}"
        found.append(("The loss began", began, seen))
    if consent:
        given = " ".join(filter(None, (f"plan {consent['id']}", consent["given"], "at", moment(consent["at"]))))
        found.append(("Consent", str(consent["by"]), given))
    return [*found, ("Run by", str(report["by"]), str(report["how"]))]


def _rpo(report: Mapping[str, Any]) -> tuple[str, str]:
    """What may be missing as a figure, and what it is counted from."""
    words, _, note = rpo_words(report["rpo"], duration).partition(" (")
    return sentence(words), note.removesuffix(")")


def _run(run: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "diagnosis": run["diagnosis"],
        "begun": moment(run["begun"]),
        "by": run["by"],
        "how": run["how"],
        "steps": [f"{step['node']}: {step['effect']}" for step in run["steps"]],
        "evidence": [str(fact) for fact in run["evidence"]],
    }


def _box(node: Mapping[str, Any], report: Mapping[str, Any]) -> Box:
    lost = node["name"] in report["lost"]
    done = [str(s["action"]) for s in report["steps"] if s["node"] == node["name"] and s["outcome"] == "done"]
    role = "leader" if node["name"] == report["leader"] else node["role"]
    word = "lost, and back" if lost else "is new" if _founds(report) else "was kept"
    return Box(node["name"], node["zone"], role, Mark.BACK if lost else Mark.FINE, word, ", ".join(dict.fromkeys(done)))
