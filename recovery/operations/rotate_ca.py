"""Rotates the swarm's CA. The rotation counts when proven copies are under the new CA.

The swarm itself keeps what it needs to go on. So a run that is killed leaves either a rotation that goes on, or copies that are
still under the CA of before, and the next run finishes that.
"""

from collections.abc import Collection
from dataclasses import dataclass

from recovery.cluster import Cluster
from recovery.errors import EngineError, ProofFailed, Refused, SettingError
from recovery.node.engine import Engine
from recovery.operations.backup import backup
from recovery.operations.leading import leading
from recovery.operations.rotate import led
from recovery.progress import Say
from recovery.steps.remove import depart, remove
from recovery.survey.nodes import stable_survey
from recovery.swarm import rotation
from recovery.swarm.entries import Member
from recovery.swarm.model import Survey
from recovery.swarm.rotation import CaRotation
from recovery.waiting import until

DOING = "rotating the CA"
SECONDS = 900.0
"""For every node to get a certificate of the new CA. A leader asks nodes in turn."""
KNOWN_SECONDS = 120.0
"""For every node to learn the new CA after that."""
PAUSE = 1.0


@dataclass(frozen=True)
class NewCa:
    """The CA of the swarm after the rotation."""

    sha256: str
    copied: tuple[str, ...]
    """The managers that have a proven copy under it."""


def check(cluster: Cluster, without: Collection[str]) -> tuple[str, ...]:
    """Check that the CA may be rotated, and return what that does, a line each. Raises: as `rotate`."""
    with leading(cluster, DOING) as (seen, engine):
        now = engine.rotated()
        gone = _require_up(cluster, seen, now, without)
        if _is_begun(cluster, seen, now):
            first = "finish the rotation of the CA that an earlier run began"
        else:
            _require_free(cluster, engine)
            first = "rotate the CA. Each node gets a new certificate, and no container stops"
        return (first, *(f"take {name} out of the swarm" for name in gone))


def rotate(cluster: Cluster, without: Collection[str], *, say: Say) -> NewCa:
    """Rotate the CA, wait until every node knows the new one, and copy the managers. Finishes what an earlier run began.

    The nodes that ``without`` names are down. They leave the swarm first, because the rotation would wait for them.

    Raises: Refused if the swarm has no leader, a node is down that ``without`` does not name, an external CA signs, or another
    operator holds the lease; SettingError if requorum:caSha256 is set; ProofFailed; EngineError; StoreError.
    """
    with led(cluster, DOING, say) as (seen, engine):
        now = engine.rotated()
        gone, begun = _require_up(cluster, seen, now, without), _is_begun(cluster, seen, now)
        if not begun:
            _require_free(cluster, engine)
        _take_out(cluster, gone, say)
        if not begun:
            say(DOING)
            engine.rotate_ca()
        _await_certificates(engine, say)
        ca = _await_known(cluster, seen.told_cas if now.goes_on or not begun else frozenset())
        return NewCa(ca, _copied(cluster, ca, say))


def _is_begun(cluster: Cluster, seen: Survey, now: CaRotation) -> bool:
    """Whether a rotation goes on, or ended before its copies: there are copies, and none of the newest is under the swarm's CA."""
    facts = seen.leader.swarm if seen.leader else None
    if now.goes_on or (facts and facts.rotating):
        return True
    present = seen.leader.ca_sha256 if seen.leader else ""
    newest = [manifest.ca_sha256 for manifest in cluster.catalog().newest_manifests().values()]
    return bool(newest) and present not in newest


def _require_free(cluster: Cluster, engine: Engine) -> None:
    """Raises: SettingError if the stack file names the CA; Refused if another one signs for the swarm."""
    if cluster.settings.ca_sha256:
        raise SettingError(
            "caSha256",
            "names the CA of now. After a rotation, no copy would count until the stack file names the new CA",
            remedy="remove the line requorum:caSha256 from the stack file, and run the same command again. Then put the line back, with the "
            "digest that the command prints",
            code="ca-pinned",
        )
    if urls := rotation.external_cas(engine.options()):
        raise Refused(
            DOING,
            f"an external CA signs for the swarm ({', '.join(urls)}), and only its owner can make its new certificate",
            remedy="rotate it by hand, on a manager: docker swarm ca --rotate --ca-cert FILE --external-ca protocol=cfssl,url=URL. "
            "Then: requorum copies take",
            code="ca-external",
        )


def _require_up(cluster: Cluster, seen: Survey, now: CaRotation, without: Collection[str]) -> dict[str, Member]:
    """The nodes that ``without`` names, by that name. Raises: Refused if another node is down, or one of them is up."""
    down = _named(cluster, seen, now.down)
    if wrong := [name for name in without if name not in down]:
        raise Refused(
            DOING,
            f"{', '.join(wrong)} is not down, or is no node of the swarm",
            remedy=f"name only nodes that are down: {', '.join(down) or 'none is'}",
            code="not-down",
        )
    if left := [name for name in down if name not in without]:
        options = " ".join(f"--without {name}" for name in left)
        raise Refused(
            DOING,
            f"the rotation would wait for nodes that are down: {', '.join(left)}",
            remedy=f"start them (requorum doctor). To take them out of the swarm, so that each must join again: "
            f"requorum rotate ca {options}",
            code="nodes-down",
        )
    return {name: down[name] for name in without}


def _named(cluster: Cluster, seen: Survey, members: Collection[Member]) -> dict[str, Member]:
    """The entries by the names of their nodes in the stack file, else by host name, else by ID."""
    ours = {entry.node_id: node.name for node in cluster.settings.nodes if (entry := seen.entry(node))}
    taken = {node.name for node in cluster.settings.nodes}
    found: dict[str, Member] = {}
    for member in members:
        other = member.node_id if member.hostname in taken | found.keys() else member.hostname
        found[ours.get(member.node_id, other)] = member
    return found


def _take_out(cluster: Cluster, gone: dict[str, Member], say: Say) -> None:
    nodes = {node.name: node for node in cluster.settings.nodes}
    for name, member in gone.items():
        if name in nodes:
            remove(cluster, nodes[name], member.node_id, ending=False, say=say)
        else:
            depart(cluster, [member.node_id], say=say)


def _await_certificates(engine: Engine, say: Say) -> None:
    """Wait until the swarm has ended the rotation. Raises: ProofFailed with the nodes that it waits for."""
    last = ""

    def look() -> CaRotation | EngineError:
        """An election may be under way."""
        nonlocal last
        try:
            now = engine.rotated()
        except EngineError as error:
            return error
        done = f"{now.nodes - len(now.behind)} of {now.nodes} nodes have a certificate of the new CA"
        if done != last and now.goes_on:
            say(done)
        last = done
        return now

    def failure(now: CaRotation | EngineError) -> ProofFailed:
        if isinstance(now, EngineError):
            why = now.why
        else:
            down = f". Down: {', '.join(member.hostname for member in now.down)}" if now.down else ""
            why = f"after {SECONDS:.0f} s the swarm still waits for {', '.join(now.behind) or 'its nodes'}{down}"
        remedy = "start what is down (requorum doctor), then run the same command again, which goes on"
        return ProofFailed(DOING, why, remedy=remedy, code="rotation-unfinished")

    until(
        look,
        SECONDS,
        holds=lambda now: isinstance(now, CaRotation) and not now.goes_on,
        pause=PAUSE,
        otherwise=failure,
    )


def _await_known(cluster: Cluster, before: frozenset[str]) -> str:
    """The digest of the CA, once every node that answers knows the same one, and none of ``before``. Raises: ProofFailed."""

    def failure(seen: Survey) -> ProofFailed:
        told = ", ".join(
            f"{report.node.name} knows {report.ca_sha256[:12]}…" for report in seen.reports if report.ca_sha256
        )
        remedy = (
            "find out which node does not learn it (requorum doctor), then run the same command again, which goes on"
        )
        return ProofFailed(DOING, f"not every node knows the new CA: {told}", remedy=remedy, code="rotation-unfinished")

    seen = until(
        lambda: stable_survey(cluster),
        KNOWN_SECONDS,
        holds=lambda seen: seen.leader and len(seen.told_cas) == 1 and not seen.told_cas & before,
        pause=PAUSE,
        otherwise=failure,
    )
    return next(iter(seen.told_cas))


def _copied(cluster: Cluster, ca: str, say: Say) -> tuple[str, ...]:
    """The managers with a proven copy under the CA, after copying all. Raises: ProofFailed if there is none."""
    proven = []
    for outcome in backup(cluster, say=say):
        if outcome.manifest is None:
            say(f"{outcome.manager} was not copied: {outcome.error.why if outcome.error else 'no copy'}")
        elif outcome.manifest.ca_sha256 != ca:
            say(f"the copy of {outcome.manager} is under another CA")
        elif fault := outcome.manifest.shortfall:
            say(f"{outcome.manager}: {fault}")
        else:
            proven.append(outcome.manager)
    if not proven:
        raise ProofFailed(
            DOING,
            "the swarm has its new CA, but no copy under it is proven. Until then, a recovery has no copy to start from",
            remedy="find out why (requorum copies list), then: requorum copies take",
            code="rotation-unfinished",
        )
    return tuple(proven)
