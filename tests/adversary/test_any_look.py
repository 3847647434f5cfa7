"""A node that tells anything in a look: the doctor goes on, and no command begins with what the node told."""

from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from hypothesis import given
from hypothesis import strategies as st

from recovery.cli.show.doctor import finding_lines
from recovery.node.looked import bounded
from recovery.planning.findings import all as findings
from recovery.swarm.evidence import Drbd, Evidence, Looked, Ports
from tests.adversary.hostile import WORDS
from tests.unit.planning.findings.looks import AT, HEALTHY, NAMES, S, look
from tests.unit.test_plain import FORBIDDEN

PROGRAMS = frozenset(
    {
        "docker",
        "truncate",
        "journalctl",
        "apt-get",
        "systemctl",
        "iptables",
        "ip6tables",
        "ip",
        "chronyc",
        "drbdadm",
        "sh",
        "requorum",
    }
)
TEXTS = st.one_of(WORDS, st.sampled_from([*NAMES, "web", "id-worker-1", "-rf", "/", "images", "log"]))


def of(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that a look has."""
    container, inner = get_origin(kind), get_args(kind)
    if container is tuple:
        return st.lists(of(inner[0]), max_size=2).map(tuple)
    if container is Mapping:
        return st.dictionaries(of(inner[0]), of(inner[1]), max_size=2)
    if container is UnionType:
        return st.none() | of(inner[0])
    if is_dataclass(kind) and isinstance(kind, type):
        return st.builds(kind, **{name: of(one) for name, one in get_type_hints(kind).items()})
    scalars: dict[Any, st.SearchStrategy[Any]] = {
        str: TEXTS, int: st.integers(0, 1 << 42), float: st.floats(0, 1e12), bool: st.booleans(),
    }  # fmt: skip
    return scalars[kind]


looks = of(Looked).map(lambda one: replace(one, began=AT + 1, ended=AT + 5))
SIDE = '[{"name": "%s", "role": "Primary", "devices": [{"disk-state": "Outdated"}], "connections": []}]'


@given(looks, st.sampled_from(NAMES))
def test_whatever_one_node_tells_no_command_is_its_own(told: Looked, name: str) -> None:
    rest = (look(node, ports=Ports(AT + 1, AT + 5)) for node in NAMES if node != name)
    found = findings.judge(S, HEALTHY, (Evidence(name, AT, AT + 6, bounded(told)), *rest), ())
    for one in found:
        assert all(run.argv[0] in PROGRAMS for proposal in one.proposals for run in proposal.runs)
        assert all(run.node in (*NAMES, "") for proposal in one.proposals for run in proposal.runs)
        assert not FORBIDDEN & {*"".join(finding_lines(one))}


@given(WORDS)
def test_the_name_of_a_replicated_volume_is_no_option(word: str) -> None:
    drbd = Drbd("", SIDE % word.replace('"', "").replace("\\", ""))
    for one in findings.judge(S, HEALTHY, (look("worker-1", drbd=drbd),), ()):
        assert all(not run.argv[-1].startswith("-") for proposal in one.proposals for run in proposal.runs)
