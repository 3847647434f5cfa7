"""Real S3 servers, each as a process of a test's own: on loopback, with an empty folder."""

import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from contextlib import suppress
from functools import cached_property
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from time import monotonic, sleep
from typing import Any, ClassVar, Self

import boto3
from botocore.config import Config

from lab import s3
from tests import listing

READY_SECONDS = 60
ANY_PORT = "127.0.0.1:0"
"""The kernel chooses a port that nobody else has: one that is chosen before may be taken by then, and another's server answers."""
LISTENING = "0A"
"""A socket's state in /proc/net/tcp, see proc(5)."""


class Server(ABC):
    """One S3 server. The buckets `plain` and `other` have nothing special."""

    ACCESS: ClassVar[str] = "tester"
    SECRET: ClassVar[str] = "not-a-real-secret"
    PROGRAM: ClassVar[str]

    def __init__(self, program: Path, folder: Path) -> None:
        self._program, self._folder = program, folder
        self._objects = folder / "objects"

    @classmethod
    def installed(cls) -> Path | None:
        """Its program, where it is on PATH."""
        found = shutil.which(cls.PROGRAM)
        return Path(found) if found else None

    @abstractmethod
    def _arguments(self) -> list[str | Path]: ...

    @abstractmethod
    def _environment(self) -> dict[str, str]: ...

    def __enter__(self) -> Self:
        self._objects.mkdir(parents=True)
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._program, *self._arguments()], stdout=log, stderr=log, env={**os.environ, **self._environment()}
            )
        self.port = self._await()
        for bucket in ("plain", "other"):
            self.s3.create_bucket(Bucket=bucket)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @cached_property
    def s3(self) -> Any:
        """A client that is not the one under test."""
        config = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
        session = boto3.Session(self.ACCESS, self.SECRET, region_name="us-east-1")
        return session.client("s3", endpoint_url=self.endpoint, config=config)

    def keys(self, bucket: str) -> list[str]:
        """Every key of a bucket."""
        return listing.keys(self.s3, bucket)

    def _await(self) -> int:
        """The port on which it answers."""
        end = monotonic() + READY_SECONDS
        while monotonic() < end and self._process.poll() is None:
            if (port := listens(self._process.pid)) and answers(port):
                return port
            sleep(0.05)
        raise RuntimeError(f"{self.PROGRAM} does not answer: {(self._folder / 'log').read_text()[-1500:]}")


class Versitygw(Server):
    """The lab's server. The bucket `versioned` has versions, `locked` Object Lock."""

    PROGRAM = "versitygw"

    @classmethod
    def installed(cls) -> Path | None:
        return s3.binary()

    def _arguments(self) -> list[str | Path]:
        versions, users = self._folder / "versions", self._folder / "users"
        for folder in (versions, users):
            folder.mkdir()
        serve = ["--port", ANY_PORT, "--quiet", "--region", "us-east-1", "--iam-dir", users]
        return [*serve, "posix", "--versioning-dir", versions, self._objects]

    def _environment(self) -> dict[str, str]:
        names = {"ROOT_ACCESS_KEY": self.ACCESS, "ROOT_SECRET_KEY": self.SECRET}
        return names | {"ROOT_ACCESS_KEY_ID": self.ACCESS, "ROOT_SECRET_ACCESS_KEY": self.SECRET}

    def __enter__(self) -> Self:
        super().__enter__()
        self.s3.create_bucket(Bucket="versioned")
        self.s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
        self.s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
        return self


class Rclone(Server):
    """`rclone serve s3`: objects and parts, and nothing beyond."""

    PROGRAM = "rclone-serve-s3"

    def _arguments(self) -> list[str | Path]:
        return ["serve", "s3", "--addr", ANY_PORT, self._objects]

    def _environment(self) -> dict[str, str]:
        none = {"RCLONE_CONFIG": "", "RCLONE_CACHE_DIR": str(self._folder / "cache")}
        return none | {"RCLONE_AUTH_KEY": f'"{self.ACCESS},{self.SECRET}"'}


SERVERS: tuple[type[Server], ...] = (Versitygw, Rclone)


def listens(pid: int) -> int | None:
    """The port that a process listens on, None as long as there is none."""
    process = Path(f"/proc/{pid}")
    with suppress(OSError):  # a file was closed meanwhile, or all are
        own = {str(file.readlink()) for file in (process / "fd").iterdir()}
        for line in (process / "net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and f"socket:[{fields[9]}]" in own:
                return int(fields[1].rpartition(":")[2], 16)
    return None


def answers(port: int) -> bool:
    """Whether a server of HTTP answers there."""
    connection = HTTPConnection("127.0.0.1", port, timeout=READY_SECONDS)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
    return True
