"""The map of the bucket: where each object of a cluster lies. Keys, the nodes' policy and docs/s3.md come from here."""

from dataclasses import dataclass

FORMAT = 1
"""The format of all objects of a cluster. A program that writes what an earlier one would misread has the next number."""
RELEASE = "0.1.0"
"""The version of this program."""
ARCHIVE = ".tar.zst.age"
"""Ends the key of a manager's copy; the objects beside it have the same key with one of the next three."""
MANIFEST = ".manifest.json"
DRILL = ".drill.json"
KEEP = ".keep.json"
DATA_ARCHIVE = ".zst.age"
"""Ends the key of a copy of a service's data."""
UNLOCK_KEY = ".age"
"""Ends the key of an unlock key in escrow."""


@dataclass(frozen=True)
class Keys:
    """The keys of one cluster below the prefix of its bucket. A folder ends with a slash."""

    prefix: str
    cluster: str

    @property
    def root(self) -> str:
        """The folder of everything that belongs to the cluster."""
        return f"{self.prefix}/{self.cluster}/"

    def copies_of(self, manager: str) -> str:
        """The folder of one manager's copies."""
        return f"{self.root}{manager}/"

    @property
    def formats(self) -> str:
        """The folder of the formats that the cluster's objects have or had."""
        return f"{self.root}format/"

    def format(self, number: int) -> str:
        """The declaration that the cluster's objects have a format."""
        return f"{self.formats}{number}"

    @property
    def lease(self) -> str:
        """The lease of the operator who changes the quorum or the membership."""
        return f"{self.root}lease.json"

    @property
    def agent(self) -> str:
        """The folder of what agents tell each other."""
        return f"{self.root}agent/"

    @property
    def agents_lease(self) -> str:
        """The lease of the agent that takes a copy."""
        return f"{self.agent}lease.json"

    @property
    def agents_mark(self) -> str:
        """What the newest copy of an agent holds."""
        return f"{self.agent}mark.json"

    @property
    def histories(self) -> str:
        """The folder of when each manager saw a quorum and took proven copies."""
        return f"{self.agent}history/"

    def history(self, manager: str) -> str:
        """When one manager saw a quorum and took proven copies."""
        return f"{self.histories}{manager}.json"

    @property
    def agents_trial(self) -> str:
        """What a trial of the agents' credentials writes."""
        return f"{self.agent}trial"

    @property
    def consent(self) -> str:
        """The note of whether a saved `recover: true` counts."""
        return f"{self.root}consent.json"

    @property
    def consents(self) -> str:
        """The folder of what a watcher without a forge asks, and of what operators answer."""
        return f"{self.root}consents/"

    @property
    def question(self) -> str:
        """The plan that a watcher asks consent to."""
        return f"{self.consents}question.json"

    def consent_to(self, plan: str) -> str:
        """The consent of an operator to one plan."""
        return f"{self.consents}{plan}.json"

    def attempt_at(self, plan: str) -> str:
        """That a watcher took the consent to one plan."""
        return f"{self.consents}{plan}.attempt.json"

    @property
    def watch_lease(self) -> str:
        """The lease of the watcher that acts."""
        return f"{self.root}watch/lease.json"

    @property
    def journal(self) -> str:
        """The folder of the steps of the recovery that is under way."""
        return f"{self.root}journal/"

    @property
    def reports(self) -> str:
        """The folder of the reports of recoveries."""
        return f"{self.root}reports/"

    @property
    def lost(self) -> str:
        """The folder of the declarations that a machine is lost."""
        return f"{self.root}lost/"

    def lost_node(self, node: str) -> str:
        """The declaration that one machine is lost."""
        return f"{self.lost}{node}.json"

    def notified(self, subject: str) -> str:
        """The note of what was last notified about a subject."""
        return f"{self.root}notified/{subject}"

    @property
    def drills(self) -> str:
        """The folder of the newest drill of each manager."""
        return f"{self.root}drills/"

    def drill(self, manager: str) -> str:
        """The newest drill of one manager."""
        return f"{self.drills}{manager}.json"

    @property
    def unlock_keys(self) -> str:
        """The folder of the unlock keys in escrow."""
        return f"{self.root}unlock-keys/"

    @property
    def probe(self) -> str:
        """The folder of the object that finds out what a server offers."""
        return f"{self.root}probe/"

    @property
    def data(self) -> str:
        """The folder of the copies of services' data."""
        return f"{self.root}data/"
