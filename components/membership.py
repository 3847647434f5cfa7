"""The swarm as resources: its quorum, each node's membership, and the proof that closes an update.

Providers are classes of this module, so that the state holds their names and no code. Pulumi gives them the stack's
settings when it configures them. The state therefore holds no access data of nodes and no tokens.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from threading import Lock
from time import monotonic
from typing import Any

import pulumi
from pulumi.dynamic import (
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from components.command_line import Deletion, deletion
from components.identity import Identities
from components.progress import say
from components.settings import from_provider
from recovery.cluster import Cluster
from recovery.errors import Refused
from recovery.operations import ending, lifecycle
from recovery.operations.assess import Assessment
from recovery.operations.report import PULUMI
from recovery.planning import departures, trust
from recovery.planning.consented import with_join
from recovery.planning.diagnosis import NO_QUORUM, Diagnosis, Kind, diagnose
from recovery.planning.membership import Membership, membership_of
from recovery.planning.plan import Plan
from recovery.planning.record import from_record, member_record, quorum_record, source_record
from recovery.planning.votes import of_leaving
from recovery.settings import Settings
from recovery.steps.member import bring_back
from recovery.steps.outcome import JoinResult
from recovery.steps.quorum import dissolve, establish
from recovery.steps.remove import depart, remove
from recovery.steps.run import Run
from recovery.survey.nodes import stable_survey, survey
from recovery.swarm.machines import Node
from recovery.swarm.model import Survey

Props = dict[str, Any]
HELD = "held"
UNPROVEN = "restored, not proven"
"""A restore was interrupted after the forced new cluster, and before the comparison with the copy."""
MISPLACED = "at an old address"
"""A restore at another address was interrupted before the swarm's log had the manager's new address."""
UNLOCKED = "autolock is off until it is switched on again"
"""A recovery was interrupted after the forced new cluster, and before autolock was on again."""
NOTED = "forced from a repaired log"
"""A recovery was interrupted after the forced new cluster, and before its note of the repaired log was taken off."""
_one_at_a_time = Lock()
MOMENT = 2.0
"""Seconds for which a refresh reuses its survey."""


class Look:
    """One survey for all resources that a refresh reads in parallel."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen: Survey | None = None
        self._until = 0.0

    def __call__(self, cluster: Cluster) -> Survey:
        with self._lock:
            if self._seen is None or monotonic() > self._until:
                self._seen = stable_survey(cluster)
                self._until = monotonic() + MOMENT
            return self._seen


_look = Look()


class _Provider(ResourceProvider):
    serialize_as_secret_always = False
    _cluster: Cluster

    def configure(self, req: ConfigureRequest) -> None:
        self._cluster = from_provider(req)

    @property
    def _ends(self) -> bool:
        """Whether the running `pulumi` ends the whole swarm."""
        return deletion() is Deletion.WHOLE and not self._cluster.settings.protected


class QuorumProvider(_Provider):
    """The cluster's quorum: created, adopted, or restored from the copy that the previewed plan names."""

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        _require_same_ca(olds, news["recovery"])
        changed = any(olds.get(key) != news.get(key) for key in ("cluster", "managers", "options"))
        return DiffResult(changes=changed or olds["quorum"] != HELD or _is_planned(news) or bool(news.get("changes")))

    def create(self, props: Props) -> CreateResult:
        outs = self._establish(props, known=None, generation=0)
        return CreateResult(outs["cluster_id"], outs)

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        return UpdateResult(self._establish(news, known=olds["cluster_id"], generation=int(olds["generation"])))

    def read(self, id_: str, props: Props) -> ReadResult:
        seen = _look(self._cluster).of_managers
        diagnosis = diagnose(seen, props["cluster_id"], cluster=self._cluster.settings.cluster, copies=True)
        if diagnosis.kind in NO_QUORUM:
            return ReadResult(id_, {**props, "quorum": str(diagnosis.kind)})
        cas = seen.cas(props["cluster_id"])
        known = seen.leader.ca_sha256 if seen.leader and seen.leader.ca_sha256 in cas else props.get("ca_sha256")
        return ReadResult(
            id_, {**props, "quorum": _standing(self._cluster.settings, seen, diagnosis), "ca_sha256": known}
        )

    def delete(self, id_: str, _props: Props) -> None:
        """Only `pulumi destroy` of the whole stack ends the swarm."""
        if self._ends:
            dissolve(self._cluster, id_, say=say)
        else:
            say(f"swarm {id_} goes on running. Only a pulumi destroy of the whole stack ends it")

    def _establish(self, props: Props, *, known: str | None, generation: int) -> Props:
        made = establish(Run(self._cluster, from_record(props["recovery"]), say), known=known)
        count = generation + 1 if made.remade else generation
        stands = {"cluster_id": made.cluster_id, "ca_sha256": made.ca_sha256}
        return {**props, **stands, "quorum": HELD, "generation": count}


class MemberProvider(_Provider):
    """One node's membership. Pulumi creates the resource again if the node is no member any more. The node then joins or rejoins.

    A manager with a new address joins without leaving first. The assessment allows a new address only if all are lost.
    """

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        moves = olds.get("role") == news["role"] == "manager"
        replaced = [] if moves or olds.get("address") == news.get("address") else ["address"]
        changed = any(
            olds.get(key) != news.get(key)
            for key in ("name", "address", "role", "availability", "labels", "host", "generation", "managers")
            if key != "availability" or news.get(key)  # not named: it stays as it is
        )
        changed = changed or olds["standing"] != Membership.MEMBER or _is_planned(news) or bool(news.get("changes"))
        return DiffResult(changes=changed or bool(replaced), replaces=replaced, delete_before_replace=True)

    def create(self, props: Props) -> CreateResult:
        node, plan = _node(props), from_record(props["recovery"])
        with _turn(props):
            place = bring_back(Run(self._cluster, with_join(plan, node), say), node)
        return CreateResult(place.node_id, _placed(props, place))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        dropped = tuple(olds["labels"].keys() - news["labels"].keys())
        with _turn(olds, news):
            run = Run(self._cluster, from_record(news["recovery"]), say)
            place = bring_back(run, _node(news), dropped_labels=dropped)
        return UpdateResult(_placed(news, place))

    def read(self, id_: str, props: Props) -> ReadResult:
        node, seen = _node(props), _look(self._cluster)
        known = (
            one
            for one in seen.reports
            if (one.node.address, one.node.dial, one.node.role) == (node.address, node.dial, node.role)
        )
        told = next(known, None) or survey(self._cluster, nodes=[node]).reports[0]
        standing, role = membership_of(told, seen.leader)
        if standing is Membership.LOST:
            return ReadResult("", {})
        return ReadResult(id_, {**props, "standing": str(standing), "role": role})

    def delete(self, id_: str, props: Props) -> None:
        """Take the node out of the swarm, unless the stack file still has its machine, for example under another name.

        With its machine in the stack file, only the end of the whole swarm takes a node out: `--target-dependents` names
        resources that nobody thought of.
        """
        node, why = _node(props), deletion()
        named = any(one.address == node.address for one in self._cluster.settings.nodes)
        if self._cluster.settings.protected if why is Deletion.WHOLE else named:
            say(f"{node.name} ({node.address}) stays in the swarm")
            return
        with _turn(props):
            remove(self._cluster, node, id_, ending=why is Deletion.WHOLE, say=say)


class HealthProvider(_Provider):
    """Proof that the whole cluster is as the settings describe it. Pulumi makes it again after each change of its inputs."""

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        """Pulumi calls this for a preview too, which therefore says who leaves, and whether another node made the copy than it knows."""
        for line in trust.since_proven(news.get("source") or {}, olds["members"]):
            say(line)
        if departed := _departed(olds, news):
            seen = _look(self._cluster)
            votes = of_leaving(self._cluster.settings, seen)
            for line in departures.lines(departures.leaving(seen, departed), votes):
                say(line)
        rests = any(olds.get(key) != news.get(key) for key in ("cluster_id", "generation", "members"))
        wants = _of_wanted(olds, news) != _of_wanted(news, news)
        return DiffResult(changes=rests or wants or olds["health"] != Kind.HEALTHY or bool(news.get("changes")))

    def create(self, props: Props) -> CreateResult:
        return CreateResult(props["cluster_id"], self._prove(props))

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        """Nodes that the stack file no longer has leave before the proof. Pulumi deletes their resources only after it."""
        departed = _departed(olds, news)
        if departed and depart(self._cluster, departed, say=say):
            lifecycle.fresh_copies(self._cluster, say=say)
        return UpdateResult(self._prove(news))

    def read(self, id_: str, props: Props) -> ReadResult:
        """What stands now. Before a whole destroy asks for consent, its refresh says what will be lost."""
        looked = _look(self._cluster)
        if self._ends:
            for line in ending.losses(self._cluster, looked):
                say(line)
        seen = looked.of_managers
        diagnosis = diagnose(seen, props["cluster_id"], cluster=self._cluster.settings.cluster, copies=True)
        report = seen.leader
        leader = next((m.hostname for m in report.members if m.leader), "") if report else ""
        return ReadResult(id_, {**props, "health": str(diagnosis.kind), "leader": leader})

    def delete(self, _id: str, _props: Props) -> None:
        """Pulumi deletes the proof first. Before the whole swarm ends, Requorum asks every node and takes last copies."""
        if self._ends:
            ending.prepare(self._cluster, say=say)

    def _prove(self, props: Props) -> Props:
        say("proving the cluster")
        health = lifecycle.finish(self._cluster, props["cluster_id"], how=PULUMI, recover=props["recover"], say=say)
        return {**props, "health": str(Kind.HEALTHY), "leader": health.leader}


class Quorum(Resource, module="requorum", name="Quorum"):
    """One for each cluster. Outputs: cluster ID, the CA's digest, the state of the quorum, and how often it was restored."""

    cluster_id: pulumi.Output[str]
    ca_sha256: pulumi.Output[str]
    quorum: pulumi.Output[str]
    generation: pulumi.Output[int]

    def __init__(
        self, name: str, settings: Settings, plan: Plan, changes: Sequence[str], opts: pulumi.ResourceOptions
    ) -> None:
        props: Props = {
            "cluster": settings.cluster,
            "managers": {manager.name: str(manager.address) for manager in settings.managers},
            "options": settings.swarm.to_json(),
            "recovery": quorum_record(plan),
            **_noted(changes),
            **dict.fromkeys(("cluster_id", "ca_sha256", "quorum", "generation")),
        }
        super().__init__(QuorumProvider(), name, props, opts)


class Member(Resource, module="requorum", name="Member"):
    """One node's membership. Outputs: node ID and cluster ID.

    ``generation`` is the quorum's, for managers. After each new quorum, Requorum checks every manager's vote.
    ``managers`` are the managers' addresses, for workers. If they change, Requorum checks that the worker reaches a manager.
    """

    node_id: pulumi.Output[str]
    cluster_id: pulumi.Output[str]

    def __init__(
        self,
        node: Node,
        names: Identities,
        plan: Plan,
        changes: Sequence[str],
        host: pulumi.Input[str],
        generation: pulumi.Input[int] | None,
        managers: list[str] | None,
        opts: pulumi.ResourceOptions,
    ) -> None:
        props: Props = {
            **node.to_json(),
            "host": host,
            "generation": generation,
            "managers": managers,
            "recovery": member_record(plan, node.name),
            **_noted(changes),
            **dict.fromkeys(("node_id", "cluster_id", "standing")),
        }
        called = names.resource(node, "member")
        super().__init__(MemberProvider(), called, props, opts.merge(names.aliases(node, "member")))


class Health(Resource, module="requorum", name="Health"):
    """The proof that closes an update, and ends consent. Outputs: health and leader."""

    health: pulumi.Output[str]
    leader: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: Settings,
        quorum_: Quorum,
        members: Mapping[str, Member],
        found: Assessment,
        opts: pulumi.ResourceOptions,
    ) -> None:
        props: Props = {
            "cluster_id": quorum_.cluster_id,
            "generation": quorum_.generation,
            "members": {name: member.node_id for name, member in members.items()},
            "recover": settings.recover,
            "wanted": {
                "options": settings.swarm.to_json(),
                "nodes": {node.name: [node.role, node.availability, dict(node.labels)] for node in settings.nodes},
            },
            **source_record(found.plan),
            **_noted(found.changes.of_swarm),
            **dict.fromkeys(("health", "leader")),
        }
        super().__init__(HealthProvider(), name, props, opts)


def _standing(settings: Settings, seen: Survey, diagnosis: Diagnosis) -> str:
    """How a swarm with a leader stands: `HELD` if nothing is left of an interrupted recovery."""
    leader = seen.leader
    if leader and leader.placed:
        return UNPROVEN
    if seen.misplaced:
        return MISPLACED
    if diagnosis.opened and settings.swarm.autolock is not False:
        return UNLOCKED
    return NOTED if any(report.led and report.repaired for report in seen.managers) else HELD


def _noted(changes: Sequence[str]) -> Props:
    """What differs from the settings where somebody else changed it. A resource where nothing does looks as it always did."""
    return {"changes": list(changes)} if changes else {}


def _of_wanted(state: Props, news: Props) -> Props:
    """What a state wants, but for an availability that the settings no longer name: that stays as it is, and needs no proof."""
    wanted, now = state.get("wanted") or {}, (news.get("wanted") or {}).get("nodes", {})
    nodes: Props = {}
    for name, (role, *availability, labels) in wanted.get("nodes", {}).items():
        _, *named, _ = now.get(name, [role, *availability, labels])
        nodes[name] = [role, availability if any(named) else [], labels]
    return {**wanted, "nodes": nodes}


def _departed(olds: Props, news: Props) -> set[str]:
    """The node IDs of the last proof that no member has any more."""
    return set(olds["members"].values()) - set(news["members"].values())


def _is_planned(news: Props) -> bool:
    """Whether the plan has steps for the resource."""
    return bool(news.get("recovery", {}).get("steps"))


def _require_same_ca(olds: Props, chosen: Props) -> None:
    """Refuse a copy whose CA differs from the state's, unless a node or the stack file confirms it. Raises: Refused."""
    known, ca = olds.get("ca_sha256"), chosen.get("ca")
    if known and ca and ca != known and not chosen["vouched"]:
        raise Refused(
            f"restoring {chosen['copy']}",
            f"its CA ({ca[:12]}…) is not the swarm's ({known[:12]}…, from Pulumi's state), and no living node knows it",
            remedy=f"if you rotated the CA, add {ca} to requorum:caSha256, then run: pulumi preview",
            code="ca-mismatch",
        )


def _turn(*states: Props) -> AbstractContextManager[object]:
    """Handle managers one at a time, even if Pulumi works in parallel, because each manager changes the quorum."""
    return _one_at_a_time if any(state["role"] == "manager" for state in states) else nullcontext()


def _placed(props: Props, place: JoinResult) -> Props:
    return {**props, "node_id": place.node_id, "cluster_id": place.cluster_id, "standing": str(Membership.MEMBER)}


def _node(props: Mapping[str, Any]) -> Node:
    return Node.from_json(props)
