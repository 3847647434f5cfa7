"""What Pulumi's state holds of our resources is a format: a stack that was built yesterday is read by today's code."""

import base64

import dill
import pytest
from pulumi.dynamic import ResourceProvider
from pulumi.dynamic.dynamic import serialize_provider

from components.agent import Agent, AgentProvider
from components.membership import Health, HealthProvider, Member, MemberProvider, Quorum, QuorumProvider
from components.node import PreparationProvider, Prepared
from components.rollouts import Rollouts, RolloutsProvider
from components.stacks import Stack, StackProvider

STORED = {
    QuorumProvider: "gASVLwAAAAAAAACMFWNvbXBvbmVudHMubWVtYmVyc2hpcJSMDlF1b3J1bVByb3ZpZGVylJOUKYGULg==",
    MemberProvider: "gASVLwAAAAAAAACMFWNvbXBvbmVudHMubWVtYmVyc2hpcJSMDk1lbWJlclByb3ZpZGVylJOUKYGULg==",
    HealthProvider: "gASVLwAAAAAAAACMFWNvbXBvbmVudHMubWVtYmVyc2hpcJSMDkhlYWx0aFByb3ZpZGVylJOUKYGULg==",
    AgentProvider: "gASVKQAAAAAAAACMEGNvbXBvbmVudHMuYWdlbnSUjA1BZ2VudFByb3ZpZGVylJOUKYGULg==",
    PreparationProvider: "gASVLgAAAAAAAACMD2NvbXBvbmVudHMubm9kZZSME1ByZXBhcmF0aW9uUHJvdmlkZXKUk5QpgZQu",
    RolloutsProvider: "gASVLwAAAAAAAACME2NvbXBvbmVudHMucm9sbG91dHOUjBBSb2xsb3V0c1Byb3ZpZGVylJOUKYGULg==",
    StackProvider: "gASVKgAAAAAAAACMEWNvbXBvbmVudHMuc3RhY2tzlIwNU3RhY2tQcm92aWRlcpSTlCmBlC4=",
}
"""`__provider` of each resource in a state, most since version 0.1.0: the pickled module path and class name."""


@pytest.mark.parametrize("provider", STORED, ids=lambda provider: provider.__name__)
def test_a_stored_provider_is_found_and_stored_alike(provider: type[ResourceProvider]) -> None:
    stored = STORED[provider]
    assert type(dill.loads(base64.b64decode(stored))) is provider
    assert serialize_provider(provider()) == stored


@pytest.mark.parametrize(
    "resource", [Quorum, Member, Health, Agent, Prepared, Rollouts, Stack], ids=lambda resource: resource.__name__
)
def test_types_of_resources_stay(resource: type) -> None:
    assert resource._resource_type_name == f"dynamic/requorum:{resource.__name__}"  # type: ignore[attr-defined]
