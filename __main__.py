"""One Docker Swarm, built and recovered by `pulumi up`."""

import pulumi

from components.cluster import Cluster

made = Cluster()
pulumi.export("clusterId", made.cluster_id)
pulumi.export("managers", made.managers)
pulumi.export("workers", made.workers)
pulumi.export("leader", made.leader)
pulumi.export("health", made.health)
