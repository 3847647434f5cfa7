"""Watches a cluster without a forge: the decisions of `ci watch`, and the consent that an operator gives in S3.

It keeps no state that it needs. What was begun, asked, answered and told is in S3. So it may be ended at any moment, and
another one may watch beside it. One watcher at a time acts or tells, and looks once more before it does.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from recovery.cluster import Cluster
from recovery.errors import Refused, RequorumError
from recovery.operations import consents, notify, pulumi, pulumi_locks, updating, watch
from recovery.operations.assess import assess
from recovery.operations.notify import Subject
from recovery.pipeline.consents import DONE, Consent, Question, why_not
from recovery.pipeline.picture import Picture
from recovery.pipeline.question import command, question, report
from recovery.pipeline.watching import HOUR, TOLD, Act, Decision, Rules, Seen, answered, decide, topic
from recovery.progress import Say
from recovery.s3.lease import operator

PATIENCE = 3
"""How many rounds in a row fail before people are told. S3 and networks have hiccups."""
AGAIN = timedelta(minutes=10)
"""How long after a notification that a service did not accept it is sent again. Services that accepted it get it again too."""
WELL = "the swarm is healthy again"
Update = Callable[[Cluster, str, Path], tuple[int, list[Mapping[str, Any]]]]


@dataclass(frozen=True)
class Means:
    """What a watcher works with."""

    opened: Callable[[str], AbstractContextManager[tuple[Path, Cluster]]]
    """A stack file that consents to this plan, or to none if it is empty, and its cluster."""
    say: Say
    now: Callable[[], datetime]
    update: Update = updating.update


@dataclass(frozen=True)
class Look:
    """What one look at the cluster led to."""

    seen: Seen
    now: Picture
    decision: Decision
    consent: Consent | None = None


class Watcher:
    """Watches one cluster."""

    def __init__(self, stack: str, rules: Rules, means: Means) -> None:
        self._stack, self._rules, self._means = stack, rules, means
        self._begun: tuple[datetime, ...] = ()
        """When this process began to change the swarm. The journal knows it too, unless the change ended before its plan."""
        self._told = self._said = ""
        self._again: datetime | None = None
        """When what was told is sent again, because a service did not accept it."""
        self._failures = 0

    def round(self) -> Decision:
        """Look once, and do what is decided. An error is told, and the next round tries again. Raises: KeyboardInterrupt."""
        try:
            with self._means.opened("") as (_, cluster):
                try:
                    decision = self._watch(cluster)
                except RequorumError as error:
                    return self._failed(error, cluster)
        except RequorumError as error:  # of the stack file
            return self._failed(error, None)
        self._failures = 0
        return decision

    def _watch(self, cluster: Cluster) -> Decision:
        look = self._look(cluster)
        if look.decision.act is not Act.NOTHING and not self._rests(topic(look.seen, look.decision)):
            look = self._act(cluster, look)
        self._say(f"{look.now.guidance.state}: {look.decision.act}: {look.decision.why}")
        return look.decision

    def _look(self, cluster: Cluster) -> Look:
        found, moment = assess(cluster), self._means.now()
        seen, now = watch.seen(cluster, found), watch.picture(cluster, self._stack, found)
        recent = tuple(begun for begun in self._begun if moment - HOUR < begun <= moment)
        seen = replace(seen, begun=max(tuple(b for b in seen.begun if moment - HOUR < b), recent, key=len))
        goes_on = bool(seen.plan.steps) and not seen.plan.id and consents.unproven(cluster, moment)
        decision = decide(seen, replace(self._rules, heal=self._rules.heal or goes_on), moment)
        if decision.act is not Act.ASK:
            return Look(seen, now, decision)
        consent, attempt = consents.given(cluster, seen.plan.id)
        return Look(seen, now, answered(decision, why_not(seen.plan.id, consent, attempt, moment)), consent)

    def _act(self, cluster: Cluster, before: Look) -> Look:
        """Look again once nobody else acts, and carry the plan out or tell. What another does at this moment is left to it."""
        doing = f"watching stack {self._stack}"
        try:
            with updating.alone(cluster, self._stack, doing, say=self._means.say):
                look = self._look(cluster)
                if look.decision.act is Act.HEAL and before.decision.act is Act.HEAL:
                    look = self._updated(look, self._run(""), "healing failed")
                elif look.decision.act is Act.RECOVER and look.consent:
                    look = self._recovered(cluster, look, look.consent)
                if look.decision.act in TOLD:
                    updating.require_idle(cluster, self._stack, doing, say=self._means.say)
                self._tell(cluster, look)
                return look
        except Refused as error:
            if error.code not in updating.BUSY:
                raise
            return replace(before, decision=Decision(Act.NOTHING, error.why))

    def _recovered(self, cluster: Cluster, look: Look, consent: Consent) -> Look:
        attempt = consents.begin(cluster, consent, self._means.now())
        how, status = "it did not end", 1
        try:
            status = self._run(consent.plan)
            how = f"the recovery ended with status {status}" if status else DONE
        except RequorumError as error:
            how = f"the recovery failed ({error.code})"
            raise
        finally:
            if how != "it did not end":  # a process that is ended leaves the attempt open, and the next one goes on
                consents.end(cluster, attempt, how)
        return self._updated(look, status, "the recovery did not end")

    def _updated(self, look: Look, status: int, failed: str) -> Look:
        return replace(look, decision=Decision(Act.SAY, failed)) if status else look

    def _run(self, plan: str) -> int:
        """Run the update by a stack file that consents to this plan, or to none. Raises: KeyboardInterrupt when interrupted."""
        self._begun = (*self._begun, self._means.now())
        with self._means.opened(plan) as (file, cluster):
            pulumi_locks.wait_until_free(cluster, self._stack, seconds=0, say=self._means.say)
            status, made = self._means.update(cluster, self._stack, file)
        for document in made:
            self._means.say(f"report: requorum reports {document['name']}")
        if status == pulumi.INTERRUPTED:
            raise KeyboardInterrupt
        return status

    def _tell(self, cluster: Cluster, look: Look) -> None:
        """Ask, report, or say that all is well: once for each topic, also if another watcher or an earlier process did."""
        act, about, say, known = look.decision.act, topic(look.seen, look.decision), self._means.say, True
        lines, headline = report(look.now, look.decision.why), look.now.guidance.state
        if act is Act.CLOSE:
            consents.close(cluster, self._means.now())
            known = notify.went_well(cluster, Subject.WATCH, WELL, say=say)
        elif act in (Act.SAY, Act.ASK):
            if act is Act.ASK:
                lines = question(look.now, look.decision.why, watch.copied_at(cluster), command(look.now))
                headline = f"consent needed: {headline}"
                consents.ask(cluster, Question(look.seen.plan.id, lines, self._means.now(), operator()))
                say(f"next: {command(look.now)}")
            detail = "\n".join(lines)
            known = notify.failed(cluster, Subject.WATCH, detail, say=say, about=about, headline=headline)
        self._note(about if act in TOLD else "", known=known)

    def _failed(self, error: RequorumError, cluster: Cluster | None) -> Decision:
        self._failures += 1
        self._say(str(error))
        about, say = f"error {error.code}", self._means.say
        if cluster and self._failures >= PATIENCE and not self._rests(about):
            detail, headline = str(error), "it cannot be watched"
            known = notify.failed(cluster, Subject.WATCH, detail, say=say, about=about, headline=headline)
            self._note(about, known=known)
        return Decision(Act.NOTHING, error.why)

    def _rests(self, about: str) -> bool:
        """Whether there is nothing to send: people know of it, or a service did not accept it a moment ago."""
        return self._told == about and (self._again is None or self._means.now() < self._again)

    def _note(self, about: str, *, known: bool) -> None:
        self._told, self._again = about, None if known else self._means.now() + AGAIN

    def _say(self, line: str) -> None:
        if line != self._said:
            self._said = line
            self._means.say(line)
