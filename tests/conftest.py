"""What all tests share: what waits for the night, properties without a deadline, and a quick start of S3 clients."""

from functools import cache

import pytest
from botocore import session
from hypothesis import settings

settings.register_profile("unhurried", deadline=None)  # which a busy machine, and not the code, would miss
settings.load_profile("unhurried")

# A new client reads a megabyte of JSON and looks into 400 folders for it, and most tests of S3 have clients of their own.
session.create_loader = cache(session.create_loader)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole", action="store_true", help="also what is marked whole: `make nightly` runs it")
    parser.addoption(
        "--minutes", default="3", help="how long the soak of random losses takes (tests/lab/test_watch.py)"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "whole: what `make nightly` runs and `make test` does not")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--whole"):
        further = [item for item in items if item.get_closest_marker("whole")]
        config.hook.pytest_deselected(items=further)
        items[:] = [item for item in items if item not in further]
