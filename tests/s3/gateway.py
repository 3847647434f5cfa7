"""versitygw as a process of a test's own."""

import os
import socket
import subprocess
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from time import monotonic, sleep
from typing import Any, ClassVar, Self

import boto3
from botocore.config import Config

READY_SECONDS = 60


class Gateway:
    """One S3 server with an empty folder. The bucket `plain` has nothing special, `versioned` versions, `locked` Object Lock."""

    ACCESS: ClassVar[str] = "tester"
    SECRET: ClassVar[str] = "not-a-real-secret"

    def __init__(self, program: Path, folder: Path) -> None:
        self._program, self._folder = program, folder
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        objects, versions = self._folder / "objects", self._folder / "versions"
        for folder in (objects, versions, self._folder / "users"):
            folder.mkdir(parents=True)
        names = {"ROOT_ACCESS_KEY": self.ACCESS, "ROOT_SECRET_KEY": self.SECRET}
        names |= {"ROOT_ACCESS_KEY_ID": self.ACCESS, "ROOT_SECRET_ACCESS_KEY": self.SECRET}
        address = f"127.0.0.1:{self.port}"
        command = [self._program, "--port", address, "--health", "/health", "--quiet", "--region", "us-east-1"]
        command += ["--iam-dir", self._folder / "users"]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "posix", "--versioning-dir", versions, objects],
                stdout=log,
                stderr=log,
                env={**os.environ, **names},
            )
        self._await()
        self.s3.create_bucket(Bucket="plain")
        self.s3.create_bucket(Bucket="versioned")
        self.s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
        self.s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def s3(self) -> Any:
        """A client that is not the one under test."""
        config = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
        session = boto3.Session(self.ACCESS, self.SECRET, region_name="us-east-1")
        return session.client("s3", endpoint_url=self.endpoint, config=config)

    def keys(self, bucket: str) -> list[str]:
        """Every key of a bucket."""
        return [entry["Key"] for entry in self.s3.list_objects_v2(Bucket=bucket).get("Contents", ())]

    def _await(self) -> None:
        end = monotonic() + READY_SECONDS
        while monotonic() < end and self._process.poll() is None:
            connection = HTTPConnection("127.0.0.1", self.port, timeout=1)
            try:
                connection.request("GET", "/health")
                if connection.getresponse().status == 200:
                    return
            except (OSError, HTTPException):
                sleep(0.05)
            finally:
                connection.close()
        raise RuntimeError(f"versitygw does not answer: {(self._folder / 'log').read_text()[-1500:]}")


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
