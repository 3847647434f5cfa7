"""Disks, layers and units: what is found, what is proposed, and that nothing proposed costs data."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.planning.findings import disks
from recovery.planning.findings.finding import Proposal, Remedy, Weight
from recovery.swarm.evidence import Disk, File, Layer, ServiceSeen, SwarmSeen, Taking, Unit
from recovery.swarm.machines import Node
from recovery.swarm.model import NodeReport, Reach, Survey
from tests.unit import factories as make
from tests.unit.planning.findings.looks import HEALTHY, S, judged, look, named, only

ID = "a" * 64
LOG = f"/var/lib/docker/containers/{ID}/{ID}-json.log"
GIB = 1 << 30


@pytest.mark.parametrize(
    ("size", "free", "low"),
    [(100 * GIB, 9 * GIB, True), (100 * GIB, 11 * GIB, False), (1000 * GIB, 30 * GIB, False), (GIB >> 4, 0, True)],
    ids=["below a tenth", "above a tenth", "a tenth of a large one is enough", "a small one"],
)
def test_a_disk_is_low_by_its_part_and_by_its_size(size: int, free: int, low: bool) -> None:
    assert (named(look("worker-1", disks=(Disk("/", size, free),))) == ["disk-low@worker-1:/"]) is low


def test_what_takes_space_is_told_and_only_what_is_safe_is_removed() -> None:
    takes = (
        Taking("volume", 40 * GIB, "rows"),
        Taking("images", 3 * GIB),
        Taking("log", 2 * GIB, LOG),
        Taking("stopped containers", GIB),
        Taking("registry", GIB, "registry"),
        Taking("packages", 1 << 10),
    )
    found = only(look("worker-1", disks=(Disk("/", 100 * GIB, GIB, takes=takes),)))
    assert found.evidence[0] == "40 GiB the volume rows"
    free, containers, registry = found.proposals
    assert [run.text for run in free.runs] == ["docker image prune --all --force", f"truncate --size 0 {LOG}"]
    assert "5.0 GiB" in free.effect
    assert not containers.runs
    assert not registry.runs
    assert found.fix == free


def test_what_could_not_be_counted_is_told_and_what_is_safe_of_it_goes() -> None:
    takes = (
        Taking("volume", GIB, "small"),
        Taking("volume", 0, "huge", counted=False),
        Taking("images", 0, counted=False),
    )
    found = only(look("worker-1", disks=(Disk("/", 100 * GIB, GIB, takes=takes),)))
    assert found.evidence == (
        "1.0 GiB the volume small",
        "the volume huge: more than could be counted in time",
        "images that no container uses: more than could be counted in time",
    )
    assert [run.text for run in found.proposals[0].runs] == ["docker image prune --all --force"]
    assert "frees 0 bytes or more" in found.proposals[0].effect


def survey_with(report: NodeReport) -> Survey:
    """The healthy survey, in which one node reports something else."""
    return make.survey([report if one.node == report.node else one for one in HEALTHY.reports])


DOWN = survey_with(NodeReport(S.node("worker-1"), Reach.NO_ENGINE))


def test_where_the_engine_is_down_nothing_is_proposed_that_it_would_have_to_do() -> None:
    """The first command that fails stops the others, and an engine that is down cannot be asked what it holds."""
    uncounted = (Taking("images", 0, counted=False), Taking("build cache", 0, counted=False))
    looks = look("worker-1", disks=(Disk("/", 100 * GIB, GIB, takes=(*uncounted, Taking("log", 2 * GIB, LOG))),))
    found = only(looks, survey=DOWN)
    assert [run.text for run in found.proposals[0].runs] == [f"truncate --size 0 {LOG}"]
    assert found.evidence == (f"2.0 GiB the log of a container: {LOG}",)
    assert [run.argv[0] for run in only(looks).proposals[0].runs] == ["docker", "docker", "truncate"]
    bare = only(look("worker-1", disks=(Disk("/", 100 * GIB, GIB, takes=uncounted),)), survey=DOWN)
    assert [one.command.split(":")[1].split()[0] for one in bare.proposals] == ["du"]


def test_images_that_nobody_can_pull_again_are_told_to_be_gone() -> None:
    for kind, told in (("images", True), ("journal", False)):
        found = only(look("worker-1", disks=(Disk("/", 100 * GIB, GIB, takes=(Taking(kind, GIB),)),)))
        assert ("in no registry" in found.proposals[0].effect) is told


def test_a_disk_without_inodes_is_low_though_it_has_space() -> None:
    found = only(look("worker-1", disks=(Disk("/", 100 * GIB, 50 * GIB, 1000, 99),)))
    assert found.trouble == "the disk with / can hold few more files: 99 of 1,000 inodes are free"
    assert found.fix is None
    assert found.proposals[0].command == "on worker-1: du -x --max-depth=2 -h / | sort -h | tail"
    assert named(look("worker-1", disks=(Disk("/", 100 * GIB, 50 * GIB, 1000, 100),))) == []
    assert named(look("worker-1", disks=(Disk("/", 100 * GIB, 50 * GIB),))) == []


kinds = st.sampled_from([*disks.WORDS, "rm", ""])
takings = st.builds(
    Taking,
    kinds,
    st.integers(0, 1 << 40),
    st.one_of(st.text(max_size=80), st.just(LOG), st.just(LOG + "/../x")),
    st.booleans(),
)
SAFE = re.compile(
    r"docker (?:image|builder) prune --all --force|journalctl --vacuum-size=100M|apt-get clean|truncate --size 0 "
    + re.escape(LOG)
)


@given(st.lists(takings, max_size=8))
def test_nothing_that_a_node_tells_makes_a_command_that_removes_data(takes: list[Taking]) -> None:
    for found in judged(look("worker-1", disks=(Disk("/", 100 * GIB, GIB, takes=tuple(takes)),))):
        assert all(SAFE.fullmatch(run.text) for one in found.proposals for run in one.runs)
        assert all(run.node == "worker-1" for one in found.proposals for run in one.runs)


WEB = SwarmSeen((ServiceSeen("1", "web", 2),))


def layer(**given: int) -> Layer:
    told = {"size": 5 * GIB, "grew": 0, **given}
    return Layer(
        ID, "web.1.x", "web", "/var/lib/docker/overlay2/x/diff", seconds=2.0, files=(File("/tmp/x", GIB),), **told
    )


def test_a_layer_that_grows_is_told_with_its_service_and_its_files() -> None:
    found = only(look("manager-a", swarm=WEB), look("worker-1", layers=(layer(grew=8 << 20),)))
    assert found.name == "layer-grows@worker-1:web"
    assert found.weight is Weight.URGENT
    assert (
        found.trouble == "container web.1.x of service web has 5.0 GiB in its own layer, and grows by 4.0 MiB a second"
    )
    assert found.evidence == ("its folder is /var/lib/docker/overlay2/x/diff", "1.0 GiB /tmp/x")
    assert [(run.node, run.text) for run in found.proposals[0].runs] == [
        ("manager-a", "docker service update --force web"),
        ("worker-1", f"docker rm --force {ID}"),
    ]


def test_a_service_that_no_manager_lists_is_not_updated() -> None:
    found = only(look("worker-1", layers=(layer(),)))
    assert found.weight is Weight.SOON
    assert found.fix is None


def test_a_small_layer_that_hardly_grows_is_nothing() -> None:
    assert named(look("worker-1", layers=(layer(size=GIB >> 1, grew=1 << 10),))) == []


def test_a_failed_unit_is_started_again() -> None:
    found = only(look("worker-1", units=(Unit("report.service", "exit-code, exit status 3", ("no such file",)),)))
    assert found.name == "unit-failed@worker-1:report.service"
    assert found.evidence == ("no such file",)
    assert found.proposals[0].command == "on worker-1: systemctl restart -- report.service"


def test_the_engine_is_restarted_by_the_command_that_asks_for_the_quorum() -> None:
    found = only(look("manager-a", units=(Unit("docker.service", "signal"),)))
    assert found.proposals[0].own == ("restart", "manager-a")
    assert found.fix


@pytest.mark.parametrize("report", [make.halted, make.damaged, make.full], ids=["halted", "damaged", "full"])
def test_an_engine_that_fails_for_a_reason_that_is_known_is_not_to_be_restarted(
    report: Callable[[Node], NodeReport],
) -> None:
    units = (
        Unit("docker.service", "exit-code"),
        Unit("docker.socket", "service-start-limit-hit"),
        Unit("cron.service", ""),
    )
    survey = survey_with(report(S.node("manager-b")))
    assert named(look("manager-b", units=units), survey=survey) == ["unit-failed@manager-b:cron.service"]


def test_an_engine_that_is_down_for_no_known_reason_is_told_with_its_journal() -> None:
    looks = look("worker-1", units=(Unit("docker.service", "exit-code", ("no such option",)),))
    assert only(looks, survey=DOWN).evidence == ("no such option",)


def test_a_unit_with_no_valid_name_is_nothing() -> None:
    assert named(look("worker-1", units=(Unit("x; rm -rf /", ""), Unit("--now", "")))) == []


@pytest.mark.parametrize(
    ("command", "own"),
    [
        ("requorum backup", ("backup",)),
        ("requorum fence worker-1 --lost; a fresh machine; pulumi up", ()),
        ("requorum plan, which shows the recovery", ()),
        ("pulumi up", ()),
        ("remove something, then: requorum restart worker-1", ()),
        ("requorum doctor. Then: requorum copies take", ()),
        ("requorum doctor. To switch it off anyway: requorum fence worker-1 --force", ()),
        ("requorum s3.", ()),
        ("requorum plan: it shows the recovery", ()),
        (
            "requorum recover --plan-id 7f3a --config-file ./requorum.yaml",
            ("recover", "--plan-id", "7f3a", "--config-file", "./requorum.yaml"),
        ),
    ],
)
def test_only_a_command_of_requorum_alone_is_one_that_it_runs(command: str, own: tuple[str, ...]) -> None:
    assert Proposal(Remedy.COPY, command, "").own == own
