"""Carries out swarm operations on one node's Docker engine, through its API.

Tokens and keys travel in request bodies. No secret is ever on a command line.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any

import docker
from docker.errors import APIError, DockerException
from requests.exceptions import ReadTimeout, RequestException

from recovery.errors import EngineError
from recovery.node import answers
from recovery.node import load as loads
from recovery.node.garbled import garbled
from recovery.node.shell import Shell
from recovery.node.silence import why_silent
from recovery.node.writes import SUPERSEDED, TRANSIENT, merged, written
from recovery.swarm import raft_options, rotation
from recovery.swarm.address import Address, with_port
from recovery.swarm.entries import Member
from recovery.swarm.key_file import UnlockKey
from recovery.swarm.machines import SWARM_PORT, Node
from recovery.swarm.model import LocalState
from recovery.swarm.placing import Load
from recovery.swarm.records import NO_RECORD
from recovery.swarm.rotation import CaRotation
from recovery.swarm.workload import Inventory, Service, Task

if TYPE_CHECKING:
    from recovery.swarm.machines import SwarmOptions


RESTART = "systemctl reset-failed docker.service docker.socket; systemctl restart docker.service"
"""Shell text that restarts a node's engine, even if systemd has stopped trying."""
SECONDS = 40
"""Longer than the engine's own limit of 20 s on swarm requests, so that its answer arrives in time."""
STILL_RUNNING = "will continue in the background"
"""Part of the answer to a join that takes longer than 20 s (moby, daemon/cluster: errSwarmJoinTimeoutReached)."""
HEARTBEAT_SECONDS = 10
"""The heartbeat of a new swarm.

Docker's own default is 5 s. A new leader waits six heartbeats for each worker before it gives the worker's tasks to
others (swarmkit, manager/dispatcher). With 10 s, a worker has twice the time to find a manager after most managers were
lost.
"""
NAMESPACE = "com.docker.stack.namespace"
"""The label of what belongs to a stack (docker/cli, cli/compose/convert)."""
NANOSECONDS = 1_000_000_000
EVERYWHERE: Mapping[int, Address] = {4: IPv4Address(0), 6: IPv6Address(0)}
"""Where a node listens, by the version of its address: at every address of its machine."""


class Engine:
    """The engine of a node, reached through an open shell."""

    def __init__(self, shell: Shell, *, seconds: float = SECONDS) -> None:
        self.node, self._seconds = shell.node, seconds
        with self._doing("connecting to the engine", "on the node: systemctl status docker"):
            self._api = docker.APIClient(base_url=f"unix://{shell.engine_socket()}", version="auto", timeout=seconds)

    def info(self) -> Mapping[str, Any]:
        """The engine's own description. Its swarm state is under ``Swarm``."""
        with self._doing("asking the engine for its state", "on the node: systemctl status docker"):
            return answers.info(self._api.info())

    def members(self) -> tuple[Member, ...]:
        """The swarm's node list. The node must be a manager of a swarm with a leader."""
        with self._doing("listing the swarm's nodes", "on the node: docker node ls"):
            return tuple(answers.member(entry) for entry in answers.sequence({"nodes": self._api.nodes()}, "nodes"))

    def member(self, node_id: str) -> Member | None:
        """The entry of that node ID in the node list, or None."""
        return next((member for member in self.members() if member.node_id == node_id), None)

    def inventory(self) -> Inventory:
        """The IDs of all objects of the swarm, and the highest ``Version.Index``."""
        with self._doing("listing the objects of the swarm", "on the node: docker node ls"):
            kinds = {
                "nodes": self._api.nodes(),
                "services": self._api.services(),
                "networks": self._api.networks(filters={"scope": "swarm"}),
                "secrets": self._api.secrets(),
                "configs": self._api.configs(),
            }
            return answers.inventory(kinds, self._api.inspect_swarm())

    def services(self) -> tuple[Service, ...]:
        """Every service that runs permanently. Jobs are not included."""
        with self._doing("listing the services", "on the node: docker service ls"):
            return answers.services(self._api.services())

    def stack(self, name: str) -> Mapping[str, str]:
        """The services of a stack that `docker stack deploy` made, by name: a digest of each, which a rebalance keeps."""
        with self._doing("listing the services of a stack", f"on the node: docker stack services {name}"):
            return answers.stack(self._api.services(filters={"label": f"{NAMESPACE}={name}"}))

    def tasks(self) -> tuple[Task, ...]:
        """Every task that the swarm wants to run."""
        with self._doing("listing the tasks", "on the node: docker service ls"):
            entries = self._api.tasks(filters={"desired-state": ["running", "ready"]})
            return tuple(answers.task(entry) for entry in answers.sequence({"tasks": entries}, "tasks"))

    def load(self) -> Load:
        """Every node, and every task that the swarm wants to run, as its scheduler sees them."""
        with self._doing("listing the tasks and what they need", "on the node: docker service ls"):
            tasks = self._api.tasks(filters={"desired-state": ["running", "ready"]})
            return loads.load(self._api.nodes(), self._api.services(), tasks)

    def count_tasks(self, node_id: str) -> int:
        """How many tasks have a container on a node, also those that are about to stop."""
        with self._doing("listing the tasks of a node", f"on the node: docker node ps {node_id}"):
            return loads.count_running(self._api.tasks(filters={"node": [node_id]}))

    def last_fault(self, service_id: str) -> str:
        """Why the last task of a service failed; empty if none did."""
        with self._doing("listing the tasks", f"on the node: docker service ps {service_id}"):
            entries = self._api.tasks(filters={"service": service_id, "desired-state": "shutdown"})
            return answers.last_fault(answers.sequence({"tasks": entries}, "tasks"))

    def init(self, options: "SwarmOptions") -> None:
        """Create a new swarm with this node as its only manager. The default heartbeat is `HEARTBEAT_SECONDS`."""
        if options.dispatcher_heartbeat_seconds is None:
            options = replace(options, dispatcher_heartbeat_seconds=HEARTBEAT_SECONDS)
        pools = [str(pool) for pool in options.default_address_pools]
        with self._doing("creating the swarm", "on the node: journalctl -u docker"):
            self._api.init_swarm(
                **self._addresses,
                default_addr_pool=pools or None,
                subnet_size=options.default_address_pool_mask if pools else None,
                data_path_port=options.data_path_port,
                swarm_spec=self._spec(options),
            )

    def force_new_cluster(self, ca_rotations: int | None) -> None:
        """Make this node the only manager of the swarm whose state is in its swarm directory.

        ``ca_rotations`` are those of the swarm (`rotation.count`). If it is None, Docker may rotate the CA once more.
        """
        spec = rotation.as_often(ca_rotations)
        with self._doing("forcing a new cluster", "on the node: journalctl -u docker"):
            self._api.init_swarm(**self._addresses, force_new_cluster=True, swarm_spec=spec)

    def options(self) -> Mapping[str, Any]:
        """The swarm's settings as the leader has them (``Spec`` of ``GET /swarm``)."""
        with self._doing("reading the swarm's options", "on the node: docker info"):
            return answers.spec(self._api.inspect_swarm())

    def set_options(self, options: "SwarmOptions") -> None:
        """Set the swarm's options to ``options``. The name, and options that are not named there, stay."""
        with self._doing("changing the swarm's options", "on the node: docker info"):
            self._change(lambda spec: merged(raft_options.restored(spec), self._spec(options)))

    @contextmanager
    def short_log(self) -> Iterator[None]:
        """Keep the raft log short while a manager joins: a snapshot after each entry (see
        `recovery.swarm.raft_options`).

        If the join fails, the swarm may have no quorum, so the options stay. `usual_log` restores them later.
        """
        with self._doing("compacting the raft log", "run the same command again"):
            self._change(raft_options.shortened)
            self._commit()
        yield
        self.usual_log()

    def usual_log(self) -> None:
        """Restore the swarm's own raft options, which an interrupted join may have left changed."""
        with self._doing("restoring the raft options", "run the same command again"):
            self._change(raft_options.restored)

    def rotate_token(self, role: str) -> None:
        """Make a new join token for ``manager`` or ``worker``. The swarm no longer accepts the one of before."""
        with self._doing(f"rotating the {role} token", f"on the node: docker swarm join-token --rotate {role}"):
            self._change(dict, **{f"rotate_{role}_token": True})

    def rotate_unlock_key(self) -> None:
        """Make a new unlock key, and note in the same write that it is not in escrow yet."""
        with self._doing("rotating the unlock key", "on the node: docker swarm unlock-key --rotate"):
            self._change(rotation.noted, rotate_manager_unlock_key=True)

    def end_rotation(self) -> None:
        """Remove the note that an unlock key is not in escrow."""
        with self._doing("removing the note of a rotation", "run the same command again"):
            self._change(rotation.without_note)

    def rotate_ca(self) -> None:
        """Begin a rotation of the swarm's CA."""
        with self._doing("rotating the CA", "on the node: docker swarm ca --rotate"):
            self._change(rotation.forced)

    def rotated(self) -> CaRotation:
        """How far a rotation of the CA is."""
        with self._doing("asking how far the rotation of the CA is", "on the node: docker swarm ca"):
            return loads.rotated(self._api.inspect_swarm(), self._api.nodes())

    def _change(self, change: Callable[[Mapping[str, Any]], dict[str, Any]], **rotate: bool) -> None:
        """Write the swarm's spec if ``change`` changes it, or something is to ``rotate``."""

        def write() -> None:
            current = self._api.inspect_swarm()
            spec, version = answers.spec(current), answers.number(current, "Version", "Index")
            if (changed := change(spec)) != spec or rotate:
                self._api.update_swarm(version=version, swarm_spec=changed, **rotate)

        written(write, TRANSIENT)

    @property
    def autolocked(self) -> bool:
        """Whether a manager of this swarm needs the unlock key when it starts. Raises: EngineError."""
        return bool(self.options().get("EncryptionConfig", {}).get("AutoLockManagers"))

    def unlock_key(self) -> UnlockKey:
        """The swarm's unlock key, from its leader. It is a secret."""
        with self._doing("fetching the unlock key", "on a manager: docker swarm unlock-key"):
            return UnlockKey(answers.text(self._api.get_unlock_key(), "UnlockKey"))

    def unlock(self, key: UnlockKey) -> None:
        """Unlock a locked manager. The engine answers when the manager has a leader.

        No answer within `SECONDS` is not an error: the engine goes on without a limit (moby, daemon/cluster:
        UnlockSwarm).
        """
        with self._doing("unlocking the manager", "on the node: docker swarm unlock"), suppress(ReadTimeout):
            self._api.unlock_swarm(key.text)

    def join_token(self, role: str) -> str:
        """The swarm's join token for ``manager`` or ``worker``. It is a secret: use it at once and store it nowhere."""
        with self._doing("fetching the join token", f"on the node: docker swarm join-token {role}"):
            token = answers.text(self._api.inspect_swarm(), "JoinTokens", role.capitalize())
        if not token:
            raise EngineError(
                "fetching the join token",
                "the engine returned an empty token",
                remedy=f"on the node: docker swarm join-token --rotate {role}",
                node=self.node.name,
                code="engine-refused",
            )
        return token

    def join(self, remotes: Iterable[Node], token: str) -> None:
        """Join the swarm of the managers ``remotes``, at this node's own address.

        If the engine needs more than its limit of 20 s, it goes on in the background. That is not an error.
        """
        with self._doing("joining the swarm", "on the node: journalctl -u docker"):
            try:
                self._api.join_swarm(
                    remote_addrs=[with_port(remote.address, remote.listen_port) for remote in remotes],
                    join_token=token,
                    **self._addresses,
                )
            except APIError as error:
                if STILL_RUNNING not in str(error.explanation):
                    raise

    def leave(self) -> None:
        """Leave the swarm, even as its last manager."""
        with self._doing("leaving the swarm", "on the node: docker swarm leave --force"):
            try:
                self._api.leave_swarm(force=True)
            except RequestException:  # the engine may close the connection while it leaves
                if answers.info(self._api.info())["Swarm"]["LocalNodeState"] != LocalState.INACTIVE:
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
        """Change a member's role or availability, set ``labels`` and remove the labels ``without``. The rest stays."""

        def change(spec: dict[str, Any]) -> dict[str, Any]:
            others = {key: value for key, value in (spec.get("Labels") or {}).items() if key not in without}
            wanted = {"Role": role, "Availability": availability, "Labels": {**others, **(labels or {})}}
            return {**spec, **{key: value for key, value in wanted.items() if value is not None}}

        with self._doing(f"updating member {node_id}", "on the node: docker node ls"):
            self._update(node_id, change, needed=False)

    def settle(self) -> None:
        """Commit one more entry, so that the managers' disks record all earlier entries as committed.

        A raft member keeps the newest commit index in memory until it writes its next entry. A forced new cluster
        drops entries beyond the index on disk (swarmkit, manager/state/raft: "discard the previously uncommitted
        entries"). Without the additional entry, a copy of an idle swarm loses its last change. The entry updates the
        node's spec to the same value.
        """
        with self._doing("writing the raft log to disk", "run the same command again"):
            self._commit()

    def _commit(self) -> None:
        """Commit an entry that changes nothing."""
        self._update(answers.info(self._api.info())["Swarm"]["NodeID"], dict, needed=True)

    def _update(self, node_id: str, change: Callable[[dict[str, Any]], dict[str, Any]], *, needed: bool) -> None:
        """Write a node's spec if ``change`` changes it.

        With ``needed``, as for a copy, the function also writes an unchanged spec, and does not wait for a leader. Each
        request blocks an engine without a leader, which may be a survivor (decision 27).
        """

        def write() -> None:
            current = self._api.inspect_node(node_id)
            spec = dict(answers.mapping(current, "Spec"))
            if (changed := change(spec)) != spec or needed:
                self._api.update_node(node_id, answers.number(current, "Version", "Index"), changed)

        written(write, SUPERSEDED if needed else TRANSIENT)

    def remove_member(self, node_id: str) -> None:
        """Remove a member that is down from the node list."""
        with self._doing(f"removing member {node_id}", "on the node: docker node ls"):
            self._api.remove_node(node_id, force=True)

    def force_update(self, service_id: str) -> None:
        """Replace every task of a service without changing its specification (``docker service update --force``)."""
        with self._doing(f"updating service {service_id}", f"on the node: docker service ps {service_id}"):
            current = self._api.inspect_service(service_id)
            count = answers.number(current, "Spec", "TaskTemplate", "ForceUpdate") + 1
            version = answers.number(current, "Version", "Index")
            self._api.update_service(service_id, version, task_template={"ForceUpdate": count}, fetch_current_spec=True)

    @property
    def _addresses(self) -> dict[str, str | None]:
        """Where the node enters a swarm. Its overlay traffic goes to its own address unless the settings name another."""
        node = self.node if isinstance(self.node, Node) else None
        path, at = (node.data_path_address, node.listen_address) if node else (None, None)
        port = node.listen_port if node else SWARM_PORT
        return {
            "advertise_addr": str(self.node.address),
            "listen_addr": with_port(at or EVERYWHERE[self.node.address.version], port),
            "data_path_addr": str(path) if path else None,
        }

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
            external_cas=[ca.to_engine() for ca in options.external_cas],
        )
        return spec

    @contextmanager
    def _doing(self, doing: str, remedy: str) -> Iterator[None]:
        try:
            yield
        except APIError as error:
            why = str(error.explanation or error)
            raise EngineError(doing, why, remedy=remedy, node=self.node.name, code="engine-refused") from None
        except (DockerException, RequestException, OSError) as error:
            why = f"the engine {why_silent(error, self._seconds)}"
            raise EngineError(doing, why, remedy=remedy, node=self.node.name, code="engine-silent") from None
        except NO_RECORD as error:  # also of the library, which does not expect such an answer
            raise garbled(self.node.name, doing, f"its engine answers what no engine answers: {error}") from None
