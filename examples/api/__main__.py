"""A Docker Swarm on machines that an HTTP API makes."""

import pulumi
from machines import Api

from components.cluster import Cluster

made = Cluster(driver=Api("lab"))
pulumi.export("clusterId", made.cluster_id)
pulumi.export("health", made.health)
