"""The policy pack in its own environment, as Pulumi runs it: a server that is asked about the resources of a stack."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import analyzer_pb2 as messages
from pulumi.runtime.proto.analyzer_pb2_grpc import AnalyzerStub

from policy.rules import MEMBER, PROVIDER, RULES

pytestmark = pytest.mark.whole
ROOT = Path(__file__).parents[2]
SECONDS = 120


@pytest.fixture(scope="module")
def pack() -> Iterator[Any]:
    """The running pack."""
    asked = subprocess.run([ROOT / "toolchain/environment", "policy"], check=True, stdout=subprocess.PIPE, text=True)
    python = Path(asked.stdout.strip()) / "bin/python"
    command = [python, "-u", "-m", "pulumi.policy", "127.0.0.1:1", ROOT / "policy"]
    with subprocess.Popen(command, cwd=ROOT / "policy", stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        port = int(process.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield AnalyzerStub(channel)  # type: ignore[no-untyped-call]
        process.terminate()


def resource(kind: str, called: str, **props: Any) -> Any:
    given = Struct()
    given.update(props)
    return messages.AnalyzerResource(
        type=kind, name=called, urn=f"urn:pulumi:lab::requorum::{kind}::{called}", properties=given
    )


def stack(*, zones: str, availability: str = "drain", **settings: Any) -> list[Any]:
    given = {f"requorum:{key}": json.dumps(value) for key, value in settings.items()}
    members = [
        resource(MEMBER, f"m{number}", name=f"m{number}", role="manager", zone=zone, availability=availability)
        for number, zone in enumerate(zones)
    ]
    worker = resource(MEMBER, "w", name="w", role="worker", zone="a", availability="active")
    return [resource(PROVIDER, "swarm", **{"requorum:cluster": "lab", **given}), *members, worker]


def broken(pack: Any, resources: list[Any]) -> dict[str, int]:
    """The policies that the stack breaks, with their level."""
    answer = pack.AnalyzeStack(messages.AnalyzeStackRequest(resources=resources), timeout=SECONDS)
    return {one.policyName: one.enforcementLevel for one in answer.diagnostics}


GOOD = {"backup": {"recipients": ["age1a", "age1b"], "lock": {"days": 7}}, "agent": {"schedule": "daily"}}


def test_it_says_what_it_is(pack: Any) -> None:
    info = pack.GetAnalyzerInfo(messages.google_dot_protobuf_dot_empty__pb2.Empty(), timeout=SECONDS)
    assert (info.name, [one.name for one in info.policies]) == ("requorum", [rule.name for rule in RULES])


def test_a_good_swarm_breaks_nothing(pack: Any) -> None:
    assert broken(pack, stack(zones="abc", **GOOD)) == {}


def test_a_bad_one_is_advised_and_with_a_setting_it_is_stopped(pack: Any) -> None:
    bad = stack(zones="ab", availability="active", backup={"recipients": ["age1a"]})
    assert broken(pack, bad) == dict.fromkeys((rule.name for rule in RULES), messages.ADVISORY)
    config = {rule.name: messages.PolicyConfig(enforcementLevel=messages.MANDATORY) for rule in RULES[:2]}
    pack.Configure(messages.ConfigureAnalyzerRequest(policyConfig=config), timeout=SECONDS)
    found = broken(pack, bad)
    assert [name for name, level in found.items() if level == messages.MANDATORY] == ["three-zones", "odd-managers"]


def test_a_stack_without_a_swarm_is_none_of_its_business(pack: Any) -> None:
    assert broken(pack, [resource("aws:s3/bucket:Bucket", "b")]) == {}
