"""Existing machines. Pulumi makes no machine and destroys no machine."""

from collections.abc import Mapping

import pulumi

from recovery.swarm.model import Survey


class ExistingHosts(pulumi.ComponentResource):
    """One machine for each node, identified by its ``/etc/machine-id``. Another value is another machine."""

    def __init__(self, name: str, seen: Survey, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("requorum:hosts:Existing", name, None, opts)
        self.identities: Mapping[str, pulumi.Input[str]] = {
            report.node.name: report.machine or "unknown" for report in seen.reports
        }
        self.register_outputs({"identities": dict(self.identities)})
