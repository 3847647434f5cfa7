"""The simulated S3 server of the unit tests."""

from tests.unit.conftest import _in_turn, bucket

__all__ = ["_in_turn", "bucket"]
