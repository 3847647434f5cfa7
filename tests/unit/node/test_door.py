"""Where SSH enters a machine: its own login, the OpenSSH configuration, then the settings of all."""

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from recovery.errors import SettingError
from recovery.node.door import Door, door
from recovery.node.ssh_faults import wrong_key
from recovery.swarm.machines import Hop, Login, Node, Ssh

NODE = Node(name="manager-a", address=IPv4Address("10.20.0.1"), ssh_address="a.example.org")
KNOWN, KEY = Path("known_hosts"), Path("key")
SSH = Ssh(private_key_file=KEY, known_hosts_file=KNOWN)


def entered(node: Node = NODE, config: str = "", folder: Path | None = None, **ssh: Any) -> Door:
    if folder:
        (folder / "config").write_text(config)
        ssh["config_file"] = folder / "config"
    return door(node, replace(SSH, **ssh))


def test_without_more_every_machine_is_entered_alike() -> None:
    assert entered() == Door("a.example.org", 22, "root", KEY, KNOWN, 20)
    assert entered(user="ops", port=2222) == Door("a.example.org", 2222, "ops", KEY, KNOWN, 20)


def test_a_machines_own_login_comes_first_and_todays_before_the_states() -> None:
    remembered = replace(NODE, ssh=Login(user="old", port=23))
    assert (entered(remembered).user, entered(remembered).port) == ("old", 23)
    today = {NODE.address: Login(user="new", private_key_file=Path("own"))}
    found = entered(remembered, logins=today, user="ops")
    assert (found.user, found.port, found.key_file) == ("new", 22, Path("own"))


def test_an_openssh_configuration_comes_before_the_settings_of_all(tmp_path: Path) -> None:
    text = """
        Host a.example.org
          HostName 192.0.2.7
          User admin
          Port 2200
          IdentityFile ~/.ssh/swarm
          ProxyJump ops@bastion:2022
        Host bastion
          HostName 192.0.2.1
          IdentityFile /bastion/key
    """
    found = entered(config=text, folder=tmp_path, user="root")
    assert (found.host, found.port, found.user) == ("192.0.2.7", 2200, "admin")
    assert found.key_file == Path.home() / ".ssh/swarm"
    assert found.jump == (Door("192.0.2.1", 2022, "ops", Path("/bastion/key"), KNOWN, 20),)
    own = replace(NODE, ssh=Login(user="me", port=9, jump=()))
    assert (entered(own, text, tmp_path).user, entered(own, text, tmp_path).port) == ("me", 9)
    assert entered(own, text, tmp_path).jump == (), "the machine says that it needs no jump host"


SCANNED: list[tuple[str, dict[str, Any], str]] = [
    ("", {}, "ssh-keyscan -p 22 a.example.org"),
    ("Host a.example.org\n HostName 192.0.2.7\n Port 2200\n", {}, "ssh-keyscan -p 2200 192.0.2.7"),
    ("", {"jump": (Hop(host="inner"),)}, "ssh -i key root@inner ssh-keyscan -p 22 a.example.org"),
    (
        "Host inner\n HostName fd00::2\n Port 2022\n",
        {
            "jump": (Hop(host="fd00::1", user="ops"), Hop(host="outer", port=23), Hop(host="inner")),
            "private_key_file": None,
        },
        "ssh -p 2022 -J ops@[fd00::1],root@outer:23 root@fd00::2 ssh-keyscan -p 22 a.example.org",
    ),
]


@pytest.mark.parametrize(("config", "ssh", "command"), SCANNED)
def test_host_keys_are_asked_for_where_ssh_enters_the_machine(
    tmp_path: Path, config: str, ssh: dict[str, Any], command: str
) -> None:
    found = entered(config=config, folder=tmp_path, **ssh)
    assert found.scan == command
    known = tmp_path / "known_hosts"
    known.touch()
    assert f"then: {command} >> {known}" in wrong_key(replace(found, known_hosts_file=known)).remedy


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Host *\n  Port many\n", "line 2"),
        ("Host *\n  ProxyCommand nc %h %p\n", "ProxyCommand for a.example.org"),
        ("Host *\n  ProxyJump ops@bastion:port\n", "has no usable host and port"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_named(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(SettingError, match=f"(?s)requorum:ssh.configFile: .*{why}.*code: unreadable-file"):
        entered(config=text, folder=tmp_path)
    with pytest.raises(SettingError, match="No such file"):
        entered(config_file=tmp_path / "none")


def test_a_jump_host_is_as_the_machine_behind_it_unless_it_says_otherwise() -> None:
    first, second = entered(user="ops", jump=(Hop(host="b1"), Hop(host="b2", user="jump", port=2022))).jump
    assert (first.host, first.user, first.port, first.key_file) == ("b1", "ops", 22, KEY)
    assert (second.host, second.user, second.port) == ("b2", "jump", 2022)


def test_the_way_to_a_jump_host_leads_through_those_before_it() -> None:
    there = entered(jump=(Hop(host="b1"), Hop(host="b2")))
    assert there.through
    assert (there.through.host, [hop.host for hop in there.through.jump]) == ("b2", ["b1"])
    before = there.through.through
    assert before
    assert (before.host, before.through) == ("b1", None)


def test_a_command_by_hand_enters_as_requorum_does() -> None:
    plain = replace(SSH, private_key_file=None)
    assert plain.command(NODE, "reboot") == "ssh root@a.example.org reboot"
    ops = replace(SSH, user="ops", port=2222, jump=(Hop(host="b", user="j"),))
    assert ops.command(NODE, "reboot") == "ssh -i key -p 2222 -J j@b:22 ops@a.example.org sudo reboot"


@pytest.mark.parametrize(
    ("dial", "port", "shown"),
    [
        ("192.0.2.1", 22, "root@192.0.2.1"),
        ("192.0.2.1", 2222, "root@192.0.2.1:2222"),
        ("fd00::1", 22, "root@[fd00::1]"),
        ("fd00::1", 2222, "root@[fd00::1]:2222"),
    ],
)
def test_a_door_is_shown_so_that_its_port_can_be_told(dial: str, port: int, shown: str) -> None:
    assert str(door(replace(NODE, ssh_address=dial), replace(SSH, port=port))) == shown
