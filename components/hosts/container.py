"""How a swarm node runs inside a container: the options every node container shares.

A node container boots systemd, sshd and a Docker engine of its own. The options below
work without ``--privileged`` (measured on hosts that withhold ``CAP_SYS_RESOURCE``) and
on ordinary engines alike, so there is one way to run a node.
"""

ADD_CAPABILITIES = ("ALL",)
DROP_CAPABILITIES = ("CAP_SYS_RESOURCE",)
SECURITY_OPTIONS = ("seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined")
CGROUP_NAMESPACE = "private"
TMPFS = ("/run", "/tmp")  # noqa: S108 - mount points in the node
STOP_SIGNAL = "SIGRTMIN+3"
"""What systemd, as a container's first process, takes for an orderly shutdown."""
ENVIRONMENT = {"container": "docker", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE": "1"}
"""``container`` tells systemd where it is; the second lets systemd 256+ boot on cgroup v1."""
DATA_PATH = "/var/lib/docker"
IDENTITY_PATH = "/etc/requorum/ssh"
"""Where a node finds its SSH host key and the operator's public key, mounted read-only."""
