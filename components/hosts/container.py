"""The options of every node container.

A node container boots systemd, sshd and its own Docker engine. The options work without ``--privileged`` (measured on
hosts that withhold ``CAP_SYS_RESOURCE``), and on ordinary engines too.
"""

ADD_CAPABILITIES = ("ALL",)
DROP_CAPABILITIES = ("CAP_SYS_RESOURCE",)
SECURITY_OPTIONS = ("seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined")
CGROUP_NAMESPACE = "private"
TMPFS = ("/run", "/tmp")  # noqa: S108 - mount points in the node
STOP_SIGNAL = "SIGRTMIN+3"
"""The signal that makes systemd, as a container's first process, shut down in order."""
ENVIRONMENT = {"container": "docker", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE": "1"}
"""``container`` shows systemd that it runs in a container. The second variable lets systemd 256+ boot on cgroup v1."""
DATA_PATH = "/var/lib/docker"
IDENTITY_PATH = "/etc/requorum/ssh"
"""The read-only mount with a node's SSH host key and the operator's public key."""
