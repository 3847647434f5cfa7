"""What the commands share that prune copies, of managers and of service data."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic

import typer

from recovery.cli.console import agree, err, out, say
from recovery.cli.progress import progress
from recovery.cli.show.contract import DEGRADED, FINE
from recovery.cli.show.pruning import prune_table
from recovery.cluster import Cluster
from recovery.copies.retention import VERSIONS_STAY, C, Decision, Removal
from recovery.operations import broken_uploads
from recovery.operations.broken_uploads import BrokenUpload
from recovery.operations.prune import Pruning


def require_consent(*, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Check that a run without questions has its answer. Raises: BadParameter."""
    if as_json and not (dry_run or yes):
        raise typer.BadParameter("--json cannot ask for consent. Give --dry-run or --yes too")


@dataclass
class Prune(Generic[C]):
    """One run of a command: the decisions, the interrupted uploads, and what became of them."""

    pruning: Pruning[C]
    cluster: Cluster
    now: datetime
    decisions: Sequence[Decision[C]]
    broken: Sequence[BrokenUpload] = ()
    removals: Sequence[Removal[C]] = ()
    owner: str = ""
    """The heading of whose copies they are."""
    wide: bool = False

    @property
    def _doomed(self) -> list[Decision[C]]:
        """The copies to remove."""
        return [decision for decision in self.decisions if not decision.keep]

    @property
    def exit_code(self) -> int:
        """The exit code of the contract: degraded if S3 refused a deletion."""
        errors = [*(removal.error for removal in self.removals), *(one.error for one in self.broken)]
        return DEGRADED if any(errors) else FINE

    def run(self, *, dry_run: bool, yes: bool, as_json: bool) -> None:
        """Show what would be removed. Unless it is a ``dry_run``, remove it and show the result. JSON is left to the command."""
        if not as_json:
            self._show_decisions()
        if dry_run:
            return
        self._remove(yes=yes, as_json=as_json)
        if self._doomed and not as_json:
            self._show_removals()

    def _show_decisions(self) -> None:
        """Show what would be removed and kept."""
        out.print(prune_table(self.decisions, self.now, self.owner, wide=self.wide))
        for one in self.broken:
            begun = one.upload.begun.isoformat()
            out.print(f"remove the parts of {one.upload.key}: its upload of {begun} was interrupted")
        something = bool(self._doomed or self.broken)
        out.print(
            f"{len(self._doomed)} of {len(self.decisions)} copies to remove" if something else "nothing to remove"
        )

    def _remove(self, *, yes: bool, as_json: bool) -> None:
        """Remove what is to go, once the operator agrees, and show each refusal of S3."""
        if not (self._doomed or self.broken):
            return
        parts = f" and the parts of {len(self.broken)} uploads" if self.broken else ""
        agree(f"remove {len(self._doomed)} copies{parts}", yes)
        if self._doomed:
            with progress("removing", len(self._doomed), as_json=as_json) as done:
                self.removals = self.pruning.prune(self.cluster, self._doomed, self.now, say=say, done=done)
        self.broken = broken_uploads.abort(self.broken)
        refused = [(f"{removal.decision.copy.name} was", removal.error) for removal in self.removals if removal.error]
        refused += [(f"the parts of {one.upload.key} were", one.error) for one in self.broken if one.error]
        for what, error in refused:
            err.print(f"{what} not removed\n{error}", style="red")

    def _show_removals(self) -> None:
        """Show how many copies were removed."""
        refused = sum(removal.error is not None for removal in self.removals)
        now_kept = len(self._doomed) - len(self.removals)
        stayed = f", {now_kept} now kept by the rules" if now_kept else ""
        out.print(f"{len(self.removals) - refused} removed, {refused} refused by S3{stayed}")
        if any(removal.versions_stay for removal in self.removals):
            out.print(VERSIONS_STAY)
