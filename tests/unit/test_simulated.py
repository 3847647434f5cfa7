"""The simulated S3 server is as good as a real one to threads that use it at the same time."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from moto.s3.models import FakeKey


def test_an_object_is_read_whole_while_it_is_overwritten(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, written, real = Event(), Event(), FakeKey.value

    def value(key: FakeKey) -> Any:
        reading.set()
        written.wait(0.2)
        return real.fget(key)

    bucket.put_object(Key="word", Body=b"one")
    monkeypatch.setattr(FakeKey, "value", property(value, real.fset))
    with ThreadPoolExecutor() as pool:
        found = pool.submit(lambda: bucket.Object("word").get()["Body"].read())
        assert reading.wait(60)
        bucket.put_object(Key="word", Body=b"two")
        written.set()
    assert found.result() == b"one"
