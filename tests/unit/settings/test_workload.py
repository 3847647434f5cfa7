"""What the settings of the workload accept and refuse, by the key."""

from typing import Any

import pytest

from recovery.errors import SettingError, SettingErrors
from recovery.settings import parse
from recovery.settings.workload import Workload
from tests.unit.settings.test_settings import raw


def workload(**given: Any) -> Workload:
    found = parse(raw(workload=given)).workload
    assert found
    return found


def service(**given: Any) -> dict[str, Any]:
    return {"services": {"web": {"image": "web:1", **given}}}


def test_without_the_key_there_is_no_workload() -> None:
    assert parse(raw()).workload is None


def test_every_option_of_an_update_has_swarms_default() -> None:
    web = workload(**service()).services["web"]
    assert (web.count, web.mode) == (1, "replicated")
    of = web.update
    assert (of.parallelism, of.delay, of.order, of.failure_action) == (1, "0s", "stop-first", "pause")
    assert (of.monitor, of.max_failure_ratio) == ("5s", 0)


@pytest.mark.parametrize(
    ("given", "key"),
    [
        (service(mode="global", replicas=2), "workload.services.web.replicas"),
        (service(networks=["back"]), "workload.services.web.networks"),
        (service(secrets=["db"]), "workload.services.web.secrets"),
        (service(configs=[{"name": "motd"}]), "workload.services.web.configs"),
        (service(endpointMode="dnsrr", ports=[{"target": 80, "published": 80}]), "workload.services.web.ports"),
        (service(update={"failureAction": "stop"}), "workload.services.web.update.failureAction"),
        (service(rollback={"failureAction": "rollback"}), "workload.services.web.rollback.failureAction"),
        (service(update={"delay": "ten"}), "workload.services.web.update.delay"),
        (service(update={"maxFailureRatio": 2}), "workload.services.web.update.maxFailureRatio"),
        (service(imagee="x"), "workload.services.web.imagee"),
        ({"secrets": {"db": {}}}, "workload.secrets.db"),
        ({"secrets": {"db": {"value": "x", "file": "/x"}}}, "workload.secrets.db"),
        ({"configs": {"motd": {"id": "x", "value": "y"}}}, "workload.configs.motd"),
    ],
)
def test_a_fault_names_its_key(given: dict[str, Any], key: str) -> None:
    with pytest.raises(SettingError) as caught:
        workload(**given)
    assert caught.value.key == key


def test_two_services_cannot_publish_one_port_in_the_mesh() -> None:
    port = {"target": 80, "published": 8000}
    both = {name: {"image": "web:1", "ports": [port]} for name in ("api", "web")}
    with pytest.raises(SettingError, match="api does too"):
        workload(services=both)
    udp = {"api": both["api"], "web": {"image": "web:1", "ports": [{**port, "protocol": "udp"}]}}
    assert workload(services=udp)
    host = {name: {"image": "web:1", "ports": [{**port, "mode": "host"}]} for name in ("api", "web")}
    assert workload(services=host), "they may run on different nodes"


def test_a_secret_that_pulumi_encrypted_is_accepted_as_it_is() -> None:
    found = workload(secrets={"db": {"value": {"secure": "v1:abc"}}}, **service(secrets=["db"]))
    assert [one.name for one in found.services["web"].mounted("secrets")] == ["db"]


@pytest.mark.parametrize(
    "slip",
    [{"secrets": {"db": "s3cret"}}, {"secrets": {"db": {"value": ["s3cret"]}}}, service(env="PASSWORD=s3cret"), service(env={"PASSWORD": ["s3cret"]})],
)  # fmt: skip
def test_a_fault_shows_no_value_that_may_be_secret(slip: dict[str, Any]) -> None:
    with pytest.raises((SettingError, SettingErrors)) as caught:
        workload(**slip)
    assert "s3cret" not in str(caught.value)
