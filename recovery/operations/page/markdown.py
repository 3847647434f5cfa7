"""The report of one recovery as a page for readers, made from its JSON. It also reads the reports of earlier versions. Pure."""

from collections.abc import Mapping
from typing import Any

from recovery.operations.page.words import length, moment, rpo_words
from recovery.plain import in_markdown, line


def as_markdown(report: Mapping[str, Any]) -> str:
    """The report as a page for readers, from its JSON. What others wrote in it is text there, and no markup."""
    document = {**in_markdown(report), "next": report.get("next")}
    rto, rpo = document["rto"], document["rpo"]
    quorum = f", quorum restored after {rto['quorumSeconds']:.1f} s" if rto["quorumSeconds"] is not None else ""
    lines = [
        f"# Cluster {document['cluster']}: {document['diagnosis'] or 'changed'}, {document['verdict']}",
        "",
        *([f"- no operator vouches for this report: {document['unsigned']}"] if document.get("unsigned") else []),
        f"- swarm: {document['clusterId']}, leader {document['leader']}",
        f"- lost: {', '.join(document['lost']) or 'nothing'}",
        *([f"- restored from {document['copy']}"] if document["copy"] else []),
        *([f"- new cluster forced from {document['survivor']}"] if document["survivor"] else []),
        *(f"- note: {loss}" for loss in document["losses"]),
        *_of_the_loss(document),
        f"- RTO: proven {rto['provenSeconds']:.1f} s after the first change{quorum}",
        f"- RPO: {rpo_words(rpo)}",
        f"- by {document['by']} ({document['how']}), ended {document['ended']}",
    ]
    for number, run in enumerate(document["runs"], 1):
        lines += ["", f"## Run {number}: {run['diagnosis']}, {run['begun']}, by {run['by']} ({run['how']})", ""]
        lines += [f"{place}. {step['node']}: {step['effect']}" for place, step in enumerate(run["steps"], 1)]
        lines += ["", *(f"- {fact}" for fact in run["evidence"])]
    lines += ["", "## Steps", "", "| begun (UTC) | step | node | seconds | outcome |", "|---|---|---|---|---|"]
    for step in document["steps"]:
        seconds = "" if step["seconds"] is None else f"{step['seconds']:.2f}"
        outcome = step["outcome"] + (f": {step['error']}" if step["error"] else "")
        lines.append(f"| {step['begun'][:23]} | {step['action']} | {step['node']} | {seconds} | {outcome} |")
    lines += ["", "## Proof", "", "| check | of | result | detail |", "|---|---|---|---|"]
    for check in document["proof"]:
        lines.append(f"| {check['check']} | {check['subject']} | {check['result']} | {check['detail']} |")
    if document.get("next"):
        lines += [
            "",
            "## Next",
            "",
            *(f"- `{line(one['command']).replace('`', '')}` {in_markdown(one['why'])}" for one in document["next"]),
        ]
    return "\n".join(lines) + "\n"


def _of_the_loss(document: Mapping[str, Any]) -> list[str]:
    """When the loss began, how long there was no quorum, and who consented. Reports of earlier versions do not tell."""
    loss, outage, consent = (document.get(key) for key in ("loss", "outage", "consent"))
    lines = []
    if loss and loss["began"]:
        lines.append(f"- the loss began: {moment(loss['began'])}, when {loss['seenBy']} lost the last leader")
    elif loss:
        earliest = f"not before {moment(loss['notBefore'])} (the newest copy), " if loss["notBefore"] else ""
        lines.append(f"- the loss began: not known, {earliest}not after {moment(loss['notAfter'])} (the first plan)")
    if outage:
        lines.append(f"- without a quorum: {length(outage)}")
    if consent:
        lines.append(f"- consent: {consent['by']} to plan {consent['id']}, {consent['given']}, {moment(consent['at'])}")
    return lines
