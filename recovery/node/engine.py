"""Swarm verbs on one node's Docker engine, through its API.

Tokens and keys travel in request bodies; nothing secret is on a command line.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import docker
from docker.errors import APIError, DockerException
from requests.exceptions import ReadTimeout, RequestException

from recovery.errors import EngineError
from recovery.node.shell import Machine, Shell
from recovery.swarm import raft_options
from recovery.swarm.key_file import UnlockKey
from recovery.swarm.model import Inventory, LocalState, Member, Service, Task

if TYPE_CHECKING:
    from recovery.swarm.machines import SwarmOptions


SWARM_PORT = 2377
RESTART = "systemctl reset-failed docker.service; systemctl restart docker.service"
"""Shell text for a node: its engine is started again, also where systemd gave up on it."""
SECONDS = 40
"""Longer than the engine's own 20 s limit on swarm requests, so that its answer is heard."""
STILL_RUNNING = "will continue in the background"
"""In what an engine answers to a join that takes it longer than 20 s (moby, daemon/cluster: errSwarmJoinTimeoutReached)."""
HEARTBEAT_SECONDS = 10
"""Docker's own default is 5. A new leader waits six heartbeats for each worker before it gives its tasks to others
(swarmkit, manager/dispatcher): twice the time to find back to it after a loss, when most managers that it knows are gone."""
RECOVERY_SECONDS = 75.0
"""For what a swarm mends by itself: a leader that hangs gives its place up after 30 s (swarmkit, manager/state/store:
WedgeTimeout), and an election takes up to 20 s more."""
SUPERSEDED = ("out of sequence",)
"""In what an engine answers to a write that another one overtook (swarmkit, manager/state/store: ErrSequenceConflict)."""
TRANSIENT = (*SUPERSEDED, "node lost leader status", "The swarm does not have a leader")
"""And while another leader is elected (manager/state/raft: ErrLostLeadership, errLostQuorum)."""
PAUSE = 0.1
NANOSECONDS = 1_000_000_000


class Engine:
    """The engine of a node reached through an open shell."""

    def __init__(self, shell: Shell, *, seconds: float = SECONDS) -> None:
        self.node = shell.node
        with self._doing("connecting to the engine", "see `systemctl status docker` on the node"):
            self._api = docker.APIClient(base_url=f"unix://{shell.engine_socket()}", version="auto", timeout=seconds)

    def info(self) -> Mapping[str, Any]:
        """The engine's own description, its swarm state under ``Swarm``."""
        with self._doing("asking the engine for its state", "see `systemctl status docker` on the node"):
            result: Mapping[str, Any] = self._api.info()
            return result

    def members(self) -> tuple[Member, ...]:
        """The swarm's node list; the node must be a manager of a swarm with a leader."""
        with self._doing("listing the swarm's nodes", "see `docker node ls` on the node"):
            return tuple(_member(entry) for entry in self._api.nodes())

    def member(self, node_id: str) -> Member | None:
        """That node's entry in the list; None where there is none."""
        return next((member for member in self.members() if member.node_id == node_id), None)

    def inventory(self) -> Inventory:
        """The IDs of everything the swarm holds, and the highest ``Version.Index``."""
        with self._doing("listing what the swarm holds", "see `docker node ls` on the node"):
            kinds: dict[str, list[Mapping[str, Any]]] = {
                "nodes": self._api.nodes(),
                "services": self._api.services(),
                "networks": self._api.networks(filters={"scope": "swarm"}),
                "secrets": self._api.secrets(),
                "configs": self._api.configs(),
            }
            swarm = self._api.inspect_swarm()
        versions = [entry["Version"]["Index"] for entries in kinds.values() for entry in entries if "Version" in entry]
        objects = {kind: frozenset(_identifiers(entries)) for kind, entries in kinds.items()}
        return Inventory(objects, max([*versions, swarm["Version"]["Index"]]))

    def services(self) -> tuple[Service, ...]:
        """Every service that is to run on and on."""
        with self._doing("listing the services", "see `docker service ls` on the node"):
            return tuple(_service(entry) for entry in self._api.services() if _mode(entry))

    def tasks(self) -> tuple[Task, ...]:
        """Every task that the swarm wants to run."""
        with self._doing("listing the tasks", "see `docker service ps` on the node"):
            found = self._api.tasks(filters={"desired-state": ["running", "ready"]})
        return tuple(_task(entry) for entry in found)

    def init(self, options: "SwarmOptions") -> None:
        """Found a new swarm with this node as its only manager. Nodes tell of themselves each `HEARTBEAT_SECONDS`, unless told otherwise."""
        if options.dispatcher_heartbeat_seconds is None:
            options = replace(options, dispatcher_heartbeat_seconds=HEARTBEAT_SECONDS)
        pools = [str(pool) for pool in options.default_address_pools]
        with self._doing("founding the swarm", "see the engine's log: journalctl -u docker"):
            self._api.init_swarm(
                advertise_addr=str(self.node.address),
                listen_addr=f"0.0.0.0:{SWARM_PORT}",
                default_addr_pool=pools or None,
                subnet_size=options.default_address_pool_mask if pools else None,
                data_path_port=options.data_path_port,
                swarm_spec=self._spec(options),
            )

    def force_new_cluster(self) -> None:
        """Make this node the only manager of the swarm whose state lies in its swarm directory."""
        with self._doing("forcing a new cluster", "see the engine's log: journalctl -u docker"):
            self._api.init_swarm(
                advertise_addr=str(self.node.address), listen_addr=f"0.0.0.0:{SWARM_PORT}", force_new_cluster=True
            )

    def options(self) -> Mapping[str, Any]:
        """The swarm's settings as the leader has them (``Spec`` of ``GET /swarm``)."""
        with self._doing("reading the swarm's options", "see `docker info` on the node"):
            spec: Mapping[str, Any] = self._api.inspect_swarm()["Spec"]
            return spec

    def set_options(self, options: "SwarmOptions") -> None:
        """Bring the swarm's settings to ``options``; the name and everything not named there stay."""
        with self._doing("changing the swarm's options", "see `docker info` on the node"):
            self._change(lambda spec: merged(raft_options.restored(spec), self._spec(options)))

    @contextmanager
    def short_log(self) -> Iterator[None]:
        """While a manager joins, a snapshot after each entry and nothing behind it (see `recovery.swarm.raft_options`).

        Where the join fails the swarm may agree on nothing, so the options stay; `usual_log` brings them back.
        """
        with self._doing("compacting the raft log", "run the same command again"):
            self._change(raft_options.shortened)
            self._commit()
        yield
        self.usual_log()

    def usual_log(self) -> None:
        """Have the swarm's own raft options back, where a join that was broken off left it with others."""
        with self._doing("bringing the raft options back", "run the same command again"):
            self._change(raft_options.restored)

    def _change(self, change: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
        """Write the swarm's changed spec; one that is as it was is not written."""

        def write() -> None:
            current = self._api.inspect_swarm()
            changed = change(current["Spec"])
            if changed != current["Spec"]:
                self._api.update_swarm(version=current["Version"]["Index"], swarm_spec=changed)

        _written(write, TRANSIENT)

    @property
    def autolocked(self) -> bool:
        """Whether a manager of this swarm needs the unlock key when it starts. Raises: EngineError."""
        return bool(self.options().get("EncryptionConfig", {}).get("AutoLockManagers"))

    def unlock_key(self) -> UnlockKey:
        """The swarm's unlock key as its leader has it: a secret."""
        with self._doing("fetching the unlock key", "docker swarm unlock-key"):
            text = self._api.get_unlock_key()["UnlockKey"]
        return UnlockKey(text)

    def unlock(self, key: UnlockKey) -> None:
        """Start a locked manager. It answers once the manager sees a leader, and is busy until then.

        One that sees none within `SECONDS` goes on looking (moby, daemon/cluster: UnlockSwarm knows no limit), and so it is not
        failed yet.
        """
        with self._doing("unlocking the manager", "docker swarm unlock, there"), suppress(ReadTimeout):
            self._api.unlock_swarm(key.text)

    def join_token(self, role: str) -> str:
        """The swarm's join token for ``manager`` or ``worker``: a secret, to be used at once and kept nowhere."""
        with self._doing("fetching the join token", "see `docker swarm join-token` on the node"):
            token: str = self._api.inspect_swarm()["JoinTokens"][role.capitalize()]
        if not token:
            raise EngineError(
                "fetching the join token",
                "the engine gives an empty one",
                remedy="docker swarm join-token --rotate " + role,
                node=self.node.name,
            )
        return token

    def join(self, remotes: Iterable[Machine], token: str) -> None:
        """Join the swarm that the managers ``remotes`` belong to, at this node's own address.

        An engine that could not do so within its 20 s goes on with it, and so it is not failed yet.
        """
        with self._doing("joining the swarm", "see the engine's log: journalctl -u docker"):
            try:
                self._api.join_swarm(
                    remote_addrs=[f"{remote.address}:{SWARM_PORT}" for remote in remotes],
                    join_token=token,
                    listen_addr=f"0.0.0.0:{SWARM_PORT}",
                    advertise_addr=str(self.node.address),
                )
            except APIError as error:
                if STILL_RUNNING not in str(error.explanation):
                    raise

    def leave(self) -> None:
        """Leave the swarm, whatever it holds here."""
        with self._doing("leaving the swarm", "docker swarm leave --force"):
            try:
                self._api.leave_swarm(force=True)
            except RequestException:  # an engine may close the connection as its node stops, and have left
                if self._api.info()["Swarm"]["LocalNodeState"] != LocalState.INACTIVE:
                    raise

    def update_member(
        self,
        node_id: str,
        *,
        role: str | None = None,
        availability: str | None = None,
        labels: Mapping[str, str] | None = None,
        without: Collection[str] = (),
    ) -> None:
        """Change a member's role or availability, set ``labels`` and remove those ``without``; all else stays as it is."""

        def change(spec: dict[str, Any]) -> dict[str, Any]:
            kept = {key: value for key, value in (spec.get("Labels") or {}).items() if key not in without}
            wanted = {"Role": role, "Availability": availability, "Labels": {**kept, **(labels or {})}}
            return {**spec, **{key: value for key, value in wanted.items() if value is not None}}

        with self._doing(f"updating member {node_id}", "see `docker node ls` on the node"):
            self._update(node_id, change, needed=False)

    def settle(self) -> None:
        """Have everything committed so far written to the managers' disks as committed, by committing one entry more.

        A raft member keeps the newest commit index in memory until it writes its next entry, and a forced new
        cluster drops entries beyond the index on disk (swarmkit, manager/state/raft: "discard the previously
        uncommitted entries"). Without this, a copy of a quiet swarm loses its last change. The entry is an
        update of the node's own spec to what it is.
        """
        with self._doing("writing out the raft log", "try again; see `docker node ls` on the node"):
            self._commit()

    def _commit(self) -> None:
        """Commit an entry that changes nothing."""
        self._update(self._api.info()["Swarm"]["NodeID"], dict, needed=True)

    def _update(self, node_id: str, change: Callable[[dict[str, Any]], dict[str, Any]], *, needed: bool) -> None:
        """Write a node's changed spec; ``needed`` writes one that is as it was too, and waits for no leader: it is for a copy, and
        an engine without one is held by each question, while it may be what is left of a quorum (decision 27).
        """

        def write() -> None:
            current = self._api.inspect_node(node_id)
            changed = change(current["Spec"])
            if needed or changed != current["Spec"]:
                self._api.update_node(node_id, current["Version"]["Index"], changed)

        _written(write, SUPERSEDED if needed else TRANSIENT)

    def remove_member(self, node_id: str) -> None:
        """Take a member that is down off the node list."""
        with self._doing(f"removing member {node_id}", "see `docker node ls` on the node"):
            self._api.remove_node(node_id, force=True)

    def force_update(self, service_id: str) -> None:
        """Have every task of a service replaced, its specification as it is (``docker service update --force``)."""
        with self._doing(f"updating service {service_id}", "see `docker service ps` on the node"):
            current = self._api.inspect_service(service_id)
            count = current["Spec"]["TaskTemplate"].get("ForceUpdate", 0) + 1
            version = current["Version"]["Index"]
            self._api.update_service(service_id, version, task_template={"ForceUpdate": count}, fetch_current_spec=True)

    def _spec(self, options: "SwarmOptions") -> dict[str, Any]:
        def nanoseconds(value: int | None, seconds: int) -> int | None:
            return None if value is None else value * seconds * NANOSECONDS

        spec: dict[str, Any] = self._api.create_swarm_spec(
            task_history_retention_limit=options.task_history_limit,
            snapshot_interval=options.snapshot_interval,
            keep_old_snapshots=options.max_snapshots,
            dispatcher_heartbeat_period=nanoseconds(options.dispatcher_heartbeat_seconds, 1),
            node_cert_expiry=nanoseconds(options.cert_expiry_hours, 3600),
            autolock_managers=options.autolock,
        )
        return spec

    @contextmanager
    def _doing(self, doing: str, remedy: str) -> Iterator[None]:
        try:
            yield
        except APIError as error:
            raise EngineError(doing, str(error.explanation or error), remedy=remedy, node=self.node.name) from None
        except (DockerException, RequestException, OSError) as error:
            raise EngineError(doing, f"no answer ({error})", remedy=remedy, node=self.node.name) from None


def _written(write: Callable[[], None], passing: Collection[str]) -> None:
    """Read and write anew, for `MENDS_SECONDS`, what was answered by one of the words for what passes.

    Each write names the version that it was made from, so none is laid over what came between. Raises: APIError.
    """
    end = monotonic() + RECOVERY_SECONDS
    while True:
        try:
            return write()
        except APIError as error:
            if monotonic() > end or not any(words in str(error.explanation) for words in passing):
                raise
        sleep(PAUSE)


def merged(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """``current`` with what ``wanted`` names, level by level."""
    result = dict(current)
    for key, value in wanted.items():
        below = current.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def _member(entry: Mapping[str, Any]) -> Member:
    manager = entry.get("ManagerStatus") or {}
    return Member(
        node_id=entry["ID"],
        hostname=entry["Description"].get("Hostname", ""),
        address=entry["Status"].get("Addr", ""),
        role=entry["Spec"]["Role"],
        availability=entry["Spec"]["Availability"],
        ready=entry["Status"]["State"] == "ready",
        leader=bool(manager.get("Leader")),
        reachable=manager.get("Reachability") == "reachable",
        manager_address=manager.get("Addr", ""),
        labels=entry["Spec"].get("Labels") or {},
    )


def _mode(entry: Mapping[str, Any]) -> str | None:
    return next((mode for mode in ("Replicated", "Global") if mode in entry["Spec"]["Mode"]), None)


def _service(entry: Mapping[str, Any]) -> Service:
    spec, endpoint = entry["Spec"], entry.get("Endpoint") or {}
    attached = spec["TaskTemplate"].get("Networks") or spec.get("Networks") or ()
    virtual_ips = (
        (ip["NetworkID"], ip["Addr"].split("/")[0]) for ip in endpoint.get("VirtualIPs") or () if ip.get("Addr")
    )
    return Service(
        service_id=entry["ID"],
        name=spec["Name"],
        replicas=spec["Mode"]["Replicated"].get("Replicas", 0) if _mode(entry) == "Replicated" else None,
        virtual_ips=tuple(virtual_ips),
        networks=frozenset(network["Target"] for network in attached),
        update=(entry.get("UpdateStatus") or {}).get("State", ""),
    )


def _task(entry: Mapping[str, Any]) -> Task:
    status = entry["Status"]
    return Task(
        service_id=entry.get("ServiceID", ""),
        node_id=entry.get("NodeID", ""),
        running=status["State"] == "running",
        slot=entry.get("Slot", 0),
        container=(status.get("ContainerStatus") or {}).get("ContainerID", ""),
        image=(entry.get("Spec", {}).get("ContainerSpec") or {}).get("Image", ""),
    )


def _identifiers(entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for entry in entries:
        yield entry.get("ID") or entry["Id"]
