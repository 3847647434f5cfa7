"""An autolocked swarm through every kind of loss. The tests run in order."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from lab import cluster, nodes
from lab.instance import Instance
from lab.stack import Stack, settings
from tests.lab.conftest import Variant
from tests.lab.here import requorum
from tests.lab.place import address
from tests.lab.swarm import MANAGERS, WORKERS, Picture, Swarm
from tests.lab.watch import Watch, watch

KNOWN: dict[str, Picture] = {}
KEYS: list[str] = []
"""The unlock key after each step. They are read through the engine's socket, so that no process names them."""


@pytest.fixture(scope="module")
def stack(lab: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(lab, "locked", tmp_path_factory.mktemp("locked") / "Pulumi.locked.yaml")
    values = settings(lab)
    made.write({**values, "swarm": {"autolock": True}, "backup": {**values["backup"], "prefix": "locked"}})
    cluster.prepare(lab, made)
    yield made
    nodes.remove_all(lab)


@pytest.fixture(scope="module", autouse=True)
def watched() -> Iterator[Watch]:
    with watch() as watching:
        yield watching


def unlock_key(swarm: Swarm, manager: str = "manager-a") -> str:
    return swarm.on(manager, "docker", "swarm", "unlock-key", "--quiet")


def restart(swarm: Swarm, *managers: str) -> None:
    for name in managers:
        swarm.on(name, "sh", "-c", "systemctl reset-failed docker; systemctl restart docker")


def require_same_and_locked(swarm: Swarm) -> None:
    """Everything is as it was, and every manager needs the key again: a new one, which is kept."""
    swarm.await_standing(*MANAGERS, *WORKERS)
    assert not KNOWN["before"].differences(swarm.picture("manager-b"))
    for name in MANAGERS:
        head = swarm.on(name, "head", "-1", "/var/lib/docker/swarm/certificates/swarm-node.key")
        assert head == "-----BEGIN ENCRYPTED PRIVATE KEY-----", name
    KEYS.append(unlock_key(swarm, "manager-b"))


def test_the_key_of_a_new_swarm_is_kept_and_the_copies_name_it(swarm: Swarm) -> None:
    swarm.run_workload()
    swarm.on("manager-a", "docker", "node", "update", "--label-add", "rack=7", "manager-b")
    KNOWN["before"] = swarm.picture()
    assert swarm.stack.requorum("backup").status == 0
    copies = json.loads(requorum(swarm.stack, "backups", "--json").text)["copies"]
    assert all(copy["autolock"] for copy in copies)
    require_same_and_locked(swarm)


@pytest.mark.whole
def test_cold_copies_leave_no_manager_locked_and_need_no_identity(swarm: Swarm, variant: Variant) -> None:
    settings = swarm.stack.settings()
    without = {
        part: {key: value for key, value in settings[part].items() if key != "identityFile"}
        for part in ("backup", "escrow")
    }
    done = variant(**without).requorum("backup", "--cold", "--yes", "--json")
    assert done.status == 0, done.errors
    made = json.loads(done.text)["copies"]
    assert [copy["proof"]["verdict"] for copy in made] == ["proven"] * 3
    assert all(copy["kind"] == "cold" and copy["autolock"] for copy in made)
    assert done.errors.count("unlocking manager-") == 3
    require_same_and_locked(swarm)


@pytest.mark.whole
def test_managers_that_all_restarted_are_unlocked_by_a_plain_update(swarm: Swarm) -> None:
    restart(swarm, *MANAGERS)

    def is_told() -> bool:
        shown = swarm.stack.requorum("status", "--json")
        return (shown.status, json.loads(shown.text)["diagnosis"]) == (4, "locked")

    swarm.until(is_told, "every manager answers in time, and is locked")
    assert "manager-c: unlock it with the key in escrow" in swarm.stack.requorum("plan").text
    swarm.stack.up("--skip-preview")
    require_same_and_locked(swarm)
    assert KEYS[-1] == KEYS[0]


@pytest.mark.whole
def test_one_locked_manager_and_a_lost_one_follow_the_leader_again(swarm: Swarm) -> None:
    nodes.lose(swarm.lab, ["manager-a"])
    swarm.until(lambda: requorum(swarm.stack, "status").status == 3, "another leads")
    swarm.stack.up("--skip-preview")
    restart(swarm, "manager-c")
    assert swarm.state("manager-c") == "locked"
    swarm.stack.up("--skip-preview")
    require_same_and_locked(swarm)


def test_without_the_identity_nothing_is_begun(swarm: Swarm, variant: Variant, tmp_path: Path) -> None:
    """A survivor that started locked: docker alone cannot bring its swarm back (moby#36852)."""
    nodes.lose(swarm.lab, ["manager-a", "manager-c"])
    restart(swarm, "manager-b")
    stranger = tmp_path / "identity"
    stranger.write_text(str(pyrage.x25519.Identity.generate()))
    escrow = {**swarm.stack.settings()["escrow"], "identityFile": str(stranger)}
    refused = variant(recover=True, escrow=escrow).preview(check=False)
    assert refused.status != 0
    assert "requorum:escrow.identityFile" in refused.text
    assert "code: wrong-identity" in refused.text
    assert swarm.state("manager-b") == "locked"


def test_a_locked_survivor_is_opened_and_forced(swarm: Swarm) -> None:
    swarm.stack.recover()
    require_same_and_locked(swarm)
    assert KEYS[-1] != KEYS[-2], "the new cluster has a new key"


@pytest.mark.whole
def test_a_survivor_that_was_forced_by_hand_in_vain_is_opened_and_forced(swarm: Swarm) -> None:
    """Docker takes no key there, and leaves the engine in no swarm beside its log."""
    nodes.lose(swarm.lab, ["manager-a", "manager-b"])
    swarm.until(lambda: requorum(swarm.stack, "status").status == 4, "the quorum is lost")
    by_hand = ("docker", "swarm", "init", "--force-new-cluster", "--advertise-addr", address(3, 13))
    swarm.on("manager-c", *by_hand, check=False)
    swarm.until(lambda: swarm.state("manager-c") == "inactive", "the engine gave up")
    swarm.stack.recover()
    require_same_and_locked(swarm)
    assert KEYS[-1] != KEYS[-2]


@pytest.mark.whole
def test_all_lost_managers_come_back_locked_with_a_new_key(swarm: Swarm) -> None:
    nodes.lose(swarm.lab, MANAGERS)
    swarm.stack.recover()
    require_same_and_locked(swarm)
    assert KEYS[-1] != KEYS[-2]


def secrets(swarm: Swarm) -> dict[str, str]:
    """Everything that must show nowhere, by what it is."""
    lab = swarm.lab
    tokens = {
        role: swarm.on("manager-b", "docker", "swarm", "join-token", "--quiet", role) for role in ("manager", "worker")
    }
    node_key = swarm.on("worker-1", "sed", "-n", "/^$/,/END/p", "/var/lib/docker/swarm/certificates/swarm-node.key")
    return {
        **{f"unlock key {number}": key for number, key in enumerate(KEYS)},
        **{f"join token of a {role}": token for role, token in tokens.items()},
        "a node's key": node_key.split()[0],
        "the SSH key": lab.operator_key.read_text().splitlines()[1],
        "the age identity": lab.age_identity.read_text().strip(),
        "the S3 key": re.findall(r"aws_secret_access_key\s*=\s*(\S+)", lab.credentials_file.read_text())[0],
        "the passphrase": lab.passphrase_file.read_text().strip(),
    }


def test_no_secret_shows_in_arguments_output_state_or_plain_in_s3(swarm: Swarm, watched: Watch) -> None:
    plant = ("sh", "-c", "sleep 0.5; : planted")
    swarm.until(
        lambda: swarm.on("worker-1", *plant) == "" and watched.places("planted"), "the watch sees what nodes run"
    )
    state = swarm.stack.pulumi("stack", "export").text
    kept = [path for path in swarm.lab.s3_root.rglob("*") if path.is_file() and "locked" in path.parts]
    assert len([path for path in kept if path.parent.name == "unlock-keys"]) == len(set(KEYS)), (
        "every key the swarm had"
    )
    for what, secret in secrets(swarm).items():
        assert len(secret) > 15, what
        assert not watched.places(secret), what
        assert secret not in state, what
        assert not [path.name for path in kept if secret.encode() in path.read_bytes()], what
