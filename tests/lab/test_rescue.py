"""`requorum rescue` on swarms of one manager that no stack file names: every kind of damage, on every engine."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lab import damage, image, nodes, workload
from lab.instance import Instance
from lab.stack import PROJECT
from tests.lab.place import address

ENGINES = [
    image.DEFAULT,
    pytest.param("26.1", marks=pytest.mark.whole),
    pytest.param("20.10", marks=pytest.mark.whole),
]
KINDS = [
    damage.FLIPPED_LATE,
    *(
        pytest.param(kind, marks=pytest.mark.whole)
        for kind in (
            damage.FLIPPED_EARLY,
            damage.FLIPPED_MIDDLE,
            damage.TORN,
            damage.TOO_LONG,
            damage.TRUNCATED,
            damage.NO_SNAPSHOT,
        )
    ),
]
MENDED = frozenset({damage.TOO_LONG, damage.TRUNCATED, damage.NO_SNAPSHOT})
"""What an engine may mend by itself: a last write that was cut off, a snapshot whose log is whole."""
CONFIGS = tuple(f"config-{number}" for number in range(6))


@dataclass
class Host:
    """A machine with a swarm of its own, and the command line on it."""

    lab: Instance
    name: str
    address: str
    engine: str = image.DEFAULT

    def on(self, *command: str, check: bool = True, stdin: str = "") -> str:
        argv = ["docker", "-H", self.lab.docker_host, "exec", "-i", self.name, *command]
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"{command} on {self.name}: {done.returncode} {done.stderr}"
        return done.stdout.strip()

    def state(self) -> str:
        """The engine's swarm state; empty if the engine does not answer, as one that crashes again and again."""
        asked = ["timeout", "30", "docker", "info", "--format", "{{.Swarm.LocalNodeState}}"]
        return self.on(*asked, check=False)

    def rescue(self, *options: str, stdin: str = "", known_hosts: str = "") -> "subprocess.CompletedProcess[str]":
        hosts = known_hosts or str(self.lab.known_hosts)
        login = ["--identity-file", str(self.lab.operator_key), "--known-hosts-file", hosts]
        argv = [str(PROJECT / "bin/requorum"), "rescue", f"ssh://root@{self.address}", *login, *options]
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False, timeout=300)

    def rescued(self, *options: str, stdin: str = "") -> str:
        """Look, consent to the plan, and carry it out. Returns what was shown."""
        looked = self.rescue(*options, stdin=stdin)
        assert looked.returncode == 1, looked
        assert "code: consent-needed" in looked.stderr, looked
        found = re.search(r"^plan (r[0-9a-f]+):$", looked.stdout, re.MULTILINE)
        assert found, looked.stdout
        done = self.rescue("--plan", found[1], *options, stdin=stdin)
        assert done.returncode == 0, done
        return looked.stdout + done.stdout

    def picture(self) -> dict[str, Any]:
        """The swarm as docker tells it, without the configs."""
        lists = {"nodes": ["node", "ls"], "services": ["service", "ls"], "secrets": ["secret", "ls"]}
        found = {key: sorted(self.on("docker", *argv, "--quiet").split()) for key, argv in lists.items()}
        return {"swarm": self.on("docker", "info", "--format", "{{.Swarm.Cluster.ID}} {{.Swarm.NodeID}}"), **found}

    def configs(self) -> list[str]:
        return sorted(self.on("docker", "config", "ls", "--format", "{{.Name}}").split())

    def leads(self) -> bool:
        listed = self.on("docker", "node", "ls", "--format", "{{json .}}", check=False).splitlines()
        return any(json.loads(line).get("ManagerStatus") == "Leader" for line in listed)

    def write(self) -> None:
        """Configs, one after the other, so that the entries of a log tell which of them a repair kept."""
        for name in self.configs():
            self.on("docker", "config", "rm", name)
        for name in CONFIGS:
            self.on("docker", "config", "create", name, "-", stdin=name)


def made(lab: Instance, engine: str, last: int) -> Host:
    image.ensure(lab, engine)
    host = Host(lab, f"solo-{engine.replace('.', '-')}", address(1, last), engine)
    nodes.make(lab, {host.name: host.address}, version=engine)
    host.on("docker", "swarm", "init", "--advertise-addr", host.address)
    workload.load_workload(lab, host.address)
    host.on("docker", "secret", "create", "password", "-", stdin="one")
    service = ["docker", "service", "create", "--detach", "--no-resolve-image", "--name", "web"]
    host.on(*service, workload.REFERENCE, "sleep", "1000000")
    return host


@pytest.fixture(scope="module", params=ENGINES)
def host(lab: Instance, request: pytest.FixtureRequest) -> Iterator[Host]:
    """A swarm of one manager with a service and a secret."""
    yield made(lab, request.param, 41)
    nodes.remove_all(lab)


def test_a_host_whose_key_nobody_pinned_is_refused_with_the_command_that_pins_it(host: Host) -> None:
    refused = host.rescue(known_hosts="/dev/null")
    assert refused.returncode == 1
    assert f"ssh-keyscan -p 22 {host.address} >> /dev/null" in refused.stderr
    assert "code: host-key-not-pinned" in refused.stderr


def test_a_healthy_manager_stays_as_it_is(host: Host) -> None:
    before = host.picture(), host.on("sh", "-c", "ls -a /var/lib/docker /var/lib/docker/swarm")
    looked = host.rescue()
    assert (looked.returncode, "nothing to do" in looked.stdout) == (0, True), looked
    assert (host.picture(), host.on("sh", "-c", "ls -a /var/lib/docker /var/lib/docker/swarm")) == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_log_is_repaired_by_the_plans_id(host: Host, kind: str) -> None:
    host.write()
    before = host.picture()
    damage.harm(host.lab, host.name, kind)
    if host.state() == "active":
        assert kind in MENDED
        assert "nothing to do" in host.rescue().stdout
    else:
        shown = host.rescued()
        assert "safety copy: /var/lib/docker/swarm.saved-" in shown
        assert "tried in a sandbox on its manager, and the swarm came up" in shown
        assert "next 1:" in shown
    require_all_but_the_last(host, before, kind)


def require_all_but_the_last(host: Host, before: dict[str, Any], kind: str) -> None:
    """The swarm leads again, and has all but the entries behind the damage."""
    assert host.leads()
    now, kept = host.picture(), host.configs()
    assert kept == list(CONFIGS[: len(kept)]), "only the last entries may be lost"
    if kind in (damage.FLIPPED_EARLY, damage.FLIPPED_MIDDLE):
        assert now["swarm"] == before["swarm"]
    else:
        assert now == before
        assert len(kept) >= len(CONFIGS) - 1
    host.on("sh", "-c", "rm -rf /var/lib/docker/swarm.before-* /var/lib/docker/swarm.saved-*")


SAVED = "tar -C /var/lib/docker -cf /root/swarm.tar swarm"
BACK = "rm -rf /var/lib/docker/swarm; tar -C /var/lib/docker -xf /root/swarm.tar"
UNITS = "docker.socket docker.service"


@pytest.mark.whole
def test_a_log_of_which_nothing_is_left_is_kept_and_refused(lab: Instance, host: Host) -> None:
    """And the swarm that is put back from the safety copy of before goes on: the engine's directory is only read."""
    host.on("sh", "-ec", f"systemctl stop {UNITS}; {SAVED}; systemctl start {UNITS}")
    damage.harm(lab, host.name, damage.EMPTIED)
    refused = host.rescue()
    assert "code: log-unreadable" in refused.stderr, refused
    assert "/var/lib/docker/swarm.saved-" in refused.stderr
    host.on("sh", "-ec", f"systemctl stop {UNITS}; {BACK}; systemctl reset-failed {UNITS}; systemctl start {UNITS}")
    assert host.leads()


@pytest.mark.whole
def test_an_autolocked_log_without_its_snapshot_is_kept_and_refused(lab: Instance, host: Host) -> None:
    """Autolock gives the log a new key. The entries of before are under one that only the snapshot makes needless."""
    host.on("docker", "swarm", "update", "--autolock=true")
    key = host.on("docker", "swarm", "unlock-key", "-q")
    host.on("sh", "-ec", f"systemctl stop {UNITS}; {SAVED}; systemctl start {UNITS}")
    damage.harm(lab, host.name, damage.NO_SNAPSHOT)
    unlocking = ("--unlock-key-file", "-")
    looked = host.rescue(*unlocking, stdin=key)
    found = re.search(r"^plan (r[0-9a-f]+):$", looked.stdout, re.MULTILINE)
    assert found, looked
    tried = host.rescue("--plan", found[1], *unlocking, stdin=key)
    assert "code: engine-refused" in tried.stderr, tried
    assert f"next: look again: requorum rescue ssh://root@{host.address}" in tried.stderr
    refused = host.rescue(*unlocking, stdin=key)
    assert "code: log-unreadable" in refused.stderr, refused
    assert "no decryption key" in refused.stderr
    host.on("sh", "-ec", f"systemctl stop {UNITS}; {BACK}; systemctl reset-failed {UNITS}; systemctl start {UNITS}")
    host.on("sh", "-c", "printf '%s\\n' \"$1\" | docker swarm unlock", "unlock", key)
    host.on("docker", "swarm", "update", "--autolock=false")
    assert host.leads()


@pytest.mark.whole
@pytest.mark.parametrize("kind", [damage.FLIPPED_LATE, damage.TORN])
def test_an_autolocked_swarm_needs_its_key_and_is_locked_again_with_a_new_one(host: Host, kind: str) -> None:
    host.on("docker", "swarm", "update", "--autolock=true")
    key = host.on("docker", "swarm", "unlock-key", "-q")
    host.write()
    before = host.picture()
    damage.harm(host.lab, host.name, kind)
    assert host.state() == "locked"
    refused = host.rescue()
    assert "code: no-unlock-key" in refused.stderr
    shown = host.rescued("--unlock-key-file", "-", stdin=key)
    assert key not in shown
    assert host.picture() == before
    new = host.on("docker", "swarm", "unlock-key", "-q")
    assert new != key
    assert locked_head(host)
    host.on("systemctl", "restart", "docker")
    assert host.state() == "locked"
    shown = host.rescued("--unlock-key-file", "-", stdin=new)
    assert "unlock it with the unlock key that you give" in shown
    assert host.picture() == before
    host.on("docker", "swarm", "update", "--autolock=false")


def locked_head(host: Host) -> bool:
    head = host.on("head", "-1", "/var/lib/docker/swarm/certificates/swarm-node.key")
    return head == "-----BEGIN ENCRYPTED PRIVATE KEY-----"


@pytest.mark.whole
@pytest.mark.parametrize("kind", [damage.FLIPPED_EARLY, damage.FLIPPED_MIDDLE, damage.TOO_LONG, damage.TRUNCATED])
def test_an_autolocked_swarm_comes_back_locked_from_any_other_damage(host: Host, kind: str) -> None:
    """Some of it the engine mends by itself once it has the key."""
    host.on("docker", "swarm", "update", "--autolock=true")
    key = host.on("docker", "swarm", "unlock-key", "-q")
    host.write()
    before = host.picture()
    damage.harm(host.lab, host.name, kind)
    shown = host.rescued("--unlock-key-file", "-", stdin=key)
    assert key not in shown
    assert locked_head(host)
    require_all_but_the_last(host, before, kind)
    host.on("docker", "swarm", "update", "--autolock=false")


@pytest.mark.whole
def test_another_manager_that_answers_is_in_the_way_and_one_that_is_off_is_named_in_the_plan(host: Host) -> None:
    other = Host(host.lab, f"other-{host.engine.replace('.', '-')}", address(2, 42))
    nodes.make(host.lab, {other.name: other.address}, version=host.engine)
    joining = host.on("docker", "swarm", "join-token", "-q", "manager")
    other.on("docker", "swarm", "join", "--token", joining, f"{host.address}:2377")
    host.write()
    before = host.picture()
    damage.harm(host.lab, host.name, damage.FLIPPED_LATE)
    refused = host.rescue()
    assert "code: manager-answers" in refused.stderr, refused
    assert f"another manager: {other.address} (it answers)" in refused.stdout
    other.on("systemctl", "stop", "docker.socket", "docker.service")
    shown = host.rescued()
    assert f"other managers that do not answer: {other.address}" in shown
    assert f"when one of {other.address} starts again" in shown
    assert host.picture() == before
    nodes.lose(host.lab, [other.name])


@pytest.mark.whole
@pytest.mark.parametrize("autolock", [False, True], ids=["open", "autolocked"])
def test_a_disk_that_fills_up_under_load_is_told_as_the_cause(host: Host, autolock: bool) -> None:
    host.on("docker", "swarm", "update", f"--autolock={str(autolock).lower()}")
    key = host.on("docker", "swarm", "unlock-key", "-q") if autolock else ""
    unlocking = ("--unlock-key-file", "-") if autolock else ()
    host.write()
    damage.make_small(host.lab, host.name, 145)
    if autolock:
        host.rescued(*unlocking, stdin=key)
    assert host.leads()
    took = damage.write_until_full(host.lab, host.name)
    assert 0 < took < 400, "the disk fills up"
    refused = host.rescue(*unlocking, stdin=key)
    assert "code: disk-full" in refused.stderr, (refused, host.on("docker", "info", check=False))
    damage.make_space(host.lab, host.name)
    host.on("sh", "-c", "systemctl reset-failed docker.service; systemctl restart docker.service")
    if not host.leads():
        host.rescued(*unlocking, stdin=key)
    assert host.leads()
    kept = [name for name in host.configs() if name.startswith("load-")]
    assert len(kept) >= took - 1, "what the engine took is there, but for the last entry"
    assert set(CONFIGS) <= set(host.configs())
    assert locked_head(host) is autolock
    host.on("docker", "swarm", "update", "--autolock=false")
    damage.make_ordinary(host.lab, host.name)


@pytest.mark.whole
def test_a_manager_at_another_port_listens_there_again(host: Host) -> None:
    """Docker takes the port for a forced cluster anew. Only the engine's own file tells which one it was."""
    host.on("docker", "swarm", "leave", "--force")
    host.on("docker", "swarm", "init", "--listen-addr", "0.0.0.0:4377", "--advertise-addr", f"{host.address}:4377")
    host.write()
    before = host.picture()
    damage.harm(host.lab, host.name, damage.FLIPPED_LATE)
    host.rescued()
    assert host.picture() == before
    assert ":4377" in host.on("ss", "-Hltn", "sport", "=", ":4377")
    assert host.on("ss", "-Hltn", "sport", "=", ":2377") == ""
