"""One cluster as one command works on it."""

import atexit
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from threading import Lock

from recovery.copies.catalog import Catalog
from recovery.copies.escrow import Escrow
from recovery.errors import Refused, StoreError
from recovery.node.connections import CONNECT_SECONDS, GENTLE
from recovery.node.signing import Operators
from recovery.node.ssh import Shell
from recovery.progress import Say
from recovery.s3.lease import Leases, operator
from recovery.s3.store import Outages, Store
from recovery.settings import Settings
from recovery.swarm.machines import Node


class Cluster:
    """One cluster as one command works on it: its settings, its sites in S3, which are opened once, and its nodes.

    Threads may share it. Those that do share its leases. One operator at a time changes a cluster's quorum and membership,
    and holds the cluster's lease for that.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.leases = Leases()
        self.operators = Operators(settings.ssh, settings.operators)
        self._outages = Outages()
        self._opening, self._pausing = Lock(), Lock()
        self._stores: dict[bool, Store] = {}
        self._paused: ExitStack | None = None
        """Holds the agents' lease while agents are paused."""

    @property
    def store(self) -> Store:
        """The cluster's sites. Raises: SettingError for a key file that cannot be read."""
        return self._open(hasty=False)

    @property
    def hasty(self) -> Store:
        """The same sites, which give up after one short try, for a quick survey. Raises: as `store`."""
        return self._open(hasty=True)

    @cached_property
    def escrow(self) -> Escrow:
        """The cluster's unlock keys in S3."""
        return Escrow(self.settings, self.store)

    def catalog(self, *, hasty: bool = False) -> Catalog:
        """The cluster's copies, listed now. Raises: StoreError."""
        return Catalog(self.settings, self.hasty if hasty else self.store)

    def shell(
        self,
        node: Node,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        login_seconds: float | None = None,
        pauses: tuple[float, ...] = GENTLE,
    ) -> Shell:
        """A shell on one of the cluster's nodes, to be entered. The arguments are as in `Shell`."""
        ssh = self.settings.ssh
        return Shell(node, ssh, connect_seconds=connect_seconds, login_seconds=login_seconds, pauses=pauses)

    @contextmanager
    def hold(self, doing: str, *, say: Say) -> Iterator[None]:
        """Hold the cluster's lease; wait while another operator holds it. Raises: Refused, StoreError."""
        with self.leases.hold(self.store.anew(), self.settings.keys.lease, doing, by=operator(), say=say):
            yield

    def require_held(self, doing: str) -> bool:
        """Check within `hold`, right before an irreversible step, that nobody took the lease over. Whether every site says so.

        Raises: Refused.
        """
        return self.leases.require(self.settings.keys.lease, doing)

    def pause_agents(self, *, say: Say) -> None:
        """Take the agents' lease, from its holder too, until `resume_agents` or the end of this process.

        A recovery holds it until the cluster is proven: before that, agents would copy half a cluster. If S3 does not give
        the lease, ``say`` reports it and the recovery goes on.
        """
        key, store = self.settings.keys.agents_lease, self.store.anew()
        with self._pausing:
            if self._paused:
                return
            held = ExitStack()
            try:
                held.enter_context(self.leases.hold(store, key, "recovery", by=operator(), say=say, at_once=True))
            except (Refused, StoreError) as error:
                say(f"agents are not paused, and may copy the swarm before its proof: {error.why}")
            else:
                self._paused = held
                atexit.register(self.resume_agents)  # before the interpreter takes its modules apart, which S3 needs

    def resume_agents(self) -> None:
        """Let agents copy again."""
        with self._pausing:
            if self._paused:
                self._paused.close()
                self._paused = None

    def _open(self, *, hasty: bool) -> Store:
        with self._opening:
            if hasty not in self._stores:
                self._stores[hasty] = Store(self.settings.backup.sites, hasty=hasty, outages=self._outages)
            return self._stores[hasty]
