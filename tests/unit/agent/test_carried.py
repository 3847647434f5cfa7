"""What is carried to a node is all that an agent needs there."""

import subprocess
import sys
import tarfile
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from recovery.agent import config, trial
from recovery.errors import SettingError, StoreError
from recovery.operations import agents, bundle
from recovery.s3.site import Site
from tests.unit import factories as make


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle as it lies on a node, and beside it what a node has of its own."""
    lib = tmp_path_factory.mktemp("lib")
    with tarfile.open(fileobj=BytesIO(bundle.packed(bundle.library()))) as tar:
        tar.extractall(lib, filter="data")
    for name in ("cryptography", "nacl", "cffi", "_cffi_backend"):
        spec = find_spec(name)
        assert spec
        assert spec.origin
        file = Path(spec.origin)
        found = file.parent if file.name == "__init__.py" else file
        (lib / found.name).symlink_to(found)
    return lib


def run(lib: Path, code: str) -> "subprocess.CompletedProcess[bytes]":
    argv = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(lib)!r}); {code}"]
    return subprocess.run(argv, capture_output=True)


def test_an_agent_needs_nothing_but_what_is_carried_and_the_nodes_own_two(carried: Path) -> None:
    done = run(
        carried,
        "import recovery.agent.__main__, recovery.agent.run, recovery.agent.metrics, boto3, docker; "
        "boto3.client('s3', region_name='x', endpoint_url='http://127.0.0.1:1'); "
        "from recovery.node import program; program.packed()",
    )
    assert done.returncode == 0, done.stderr.decode()


def test_the_watch_needs_no_package_at_all(carried: Path) -> None:
    done = run(carried, "import recovery.agent.watch; print(*{name.split('.')[0] for name in sys.modules})")
    assert done.returncode == 0, done.stderr.decode()
    assert not {"boto3", "docker", "requests", "cryptography"} & set(done.stdout.decode().split())


def test_nothing_compiled_is_carried() -> None:
    assert not [path for path in bundle.library() if path.endswith((".so", ".pyd"))]
    assert sum(map(len, bundle.library().values())) < 12_000_000


def test_credentials_are_carried_beside_the_settings_and_change_the_digest(tmp_path: Path) -> None:
    given = tmp_path / "credentials"
    given.write_text("[default]\n")
    of = make.settings(agent={"credentialsFile": str(given)})
    files = agents.files(of, of.managers[0])
    assert files["etc/credentials"] == b"[default]\n\n"
    before = agents.digest(of, of.managers[0])
    given.write_text("[default]\naws_access_key_id = other\n")
    assert agents.digest(of, of.managers[0]) != before
    told = config.from_json(files["etc/config.json"])
    assert (told.name, told.buckets[0].write_only) == (of.managers[0].name, True)
    given.unlink()
    with pytest.raises(SettingError) as caught:
        agents.digest(of, of.managers[0])
    assert caught.value.key == "agent.credentialsFile"


def test_the_credentials_are_tried_with_nothing_but_what_is_carried(carried: Path, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id = a\naws_secret_access_key = hidden\n")
    backup = {**make.RAW["backup"], "endpoint": "http://127.0.0.1:1"}
    of = make.settings(agent={"credentialsFile": str(tmp_path / "credentials")}, backup=backup)
    for path, content in agents.files(of, of.managers[0]).items():
        if path.startswith("etc/"):
            (tmp_path / Path(path).name).write_bytes(content)
    done = run(
        carried,
        "import pathlib; from recovery.agent.__main__ import main; "
        f"sys.exit(main('try', pathlib.Path({str(tmp_path)!r})))",
    )
    told = done.stderr.decode()
    assert (done.returncode, done.stdout) == (1, b"")
    assert told.startswith(
        "writing requorum/lab/agent/trial to s3://copies at http://127.0.0.1:1: S3 cannot be reached"
    )
    assert "hidden" not in told


def test_a_trial_writes_one_of_the_agents_own_notes(bucket: Any) -> None:
    made = agents.config(make.settings(agent={}), make.settings().managers[0])
    trial.run(made, Path("/none"))
    assert [entry.key for entry in bucket.objects.all()] == ["requorum/lab/agent/trial"]


def test_credentials_that_may_not_read_are_told(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Site, "look", lambda *_: None)
    made = agents.config(make.settings(agent={}), make.settings().managers[0])
    with pytest.raises(StoreError, match=r"policy(?s:.*)code: s3-denied$"):
        trial.run(made, Path("/none"))
