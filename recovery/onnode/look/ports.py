"""Which packets pass between this node and the others: each tries each, at the same time.

TCP ports are tried by a connection. A UDP port of a swarm gives no answer, so every node sends packets to the others, and
listens for theirs with a raw socket. The kernel hands a packet to a raw socket after its own firewall (ip(7), raw(7)), and the
packet also goes its usual way: gossip drops it because it has no key, and VXLAN because it has no flags.
"""

import json
import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from threading import Event, Thread
from typing import Any

from recovery.onnode import api
from recovery.onnode.look import output

MANAGERS_PORT, GOSSIP_PORT = 2377, 7946
WINDOW_SECONDS = 3.3
"""How long a node listens. Logins to 29 nodes end within two seconds of each other."""
ENOUGH_SECONDS = 2.4
"""For a node that has heard everything from every other. The others have heard three of its packets by then."""
SENDS = (0.2, 1.1, 2.0, 2.9)
"""Seconds after the beginning at which a node sends. Gossip notes each packet in the engine's log, so they are few."""
CONNECT_SECONDS = 2.0
AT_ONCE = 32
IPV4_HEADERS, IPV6_HEADERS = 28, 48
"""Bytes of the headers of IP and UDP."""
VXLAN = {4: 50, 6: 70}
"""Bytes that VXLAN adds around a packet of an overlay network, by the version of the addresses."""
DEFAULT_MTU = 1450
"""The MTU of an overlay network whose options name none (libnetwork, drivers/overlay)."""
MTU_OPTION = "com.docker.network.driver.mtu"
PROBE = getattr(socket, "IP_PMTUDISC_PROBE", 3)
"""Send as it is, never in fragments (Linux, in.h: IP_PMTUDISC_PROBE)."""
MTU_DISCOVER = {4: (socket.IPPROTO_IP, 10), 6: (socket.IPPROTO_IPV6, 23)}
"""IP_MTU_DISCOVER and IPV6_MTU_DISCOVER (Linux, in.h and in6.h)."""
PREFIX = "requorum-look"
RULES = 10


def look(engine: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """What passed within `WINDOW_SECONDS`, or within `ENOUGH_SECONDS` if everything passes."""
    peers: Sequence[Mapping[str, Any]] = request["peers"]
    if not peers:
        return {"began": time.time(), "ended": time.time()}
    version = ip_address(peers[0]["path"]).version
    versions = {version, ip_address(peers[0]["address"]).version}
    large = _overlay_mtu(engine) + VXLAN[version]
    heard: set[tuple[str, int, bool]] = set()
    over = Event()
    began = time.time()
    for one in versions:
        Thread(target=_listen, args=(heard, request, one, over), daemon=True).start()
    Thread(target=_send, args=(request, large, over), daemon=True).start()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        tried = [
            pool.submit(_connect, peer["name"], peer["address"], port)
            for peer in peers
            for port in ((MANAGERS_PORT, GOSSIP_PORT) if peer["manager"] else (GOSSIP_PORT,))
        ]
        untaken = [found for one in tried if (found := one.result())]
    device, mtu = _device(peers[0]["path"])
    overlay = int(request["port"])
    kinds = ((GOSSIP_PORT, False), (overlay, False), (overlay, True))
    every = {(peer["name"], port, big) for peer in peers for port, big in kinds}
    while (passed := time.time() - began) < WINDOW_SECONDS and not (passed > ENOUGH_SECONDS and every <= heard):
        over.wait(0.1)
    over.set()
    return {
        "began": began,
        "ended": time.time(),
        "heard": [{"peer": peer, "port": port, "large": big} for peer, port, big in sorted(heard)],
        "untaken": untaken,
        "device": device,
        "mtu": mtu,
        "large": large,
        "rules": [rule for one in versions for rule in _rules(one, (MANAGERS_PORT, GOSSIP_PORT, overlay))],
    }


def _listen(heard: set[tuple[str, int, bool]], request: Mapping[str, Any], version: int, over: Event) -> None:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw:
        raw.settimeout(0.2)
        while not over.is_set():
            with suppress(TimeoutError):
                packet = raw.recv(1 << 16)
                udp = packet[(packet[0] & 15) * 4 :] if version == 4 else packet  # raw(7): IPv6 gives no header
                port = int.from_bytes(udp[2:4], "big")
                prefix, _, rest = udp[8:200].partition(b" ")
                told = rest.split(b" ", 3)
                if prefix == PREFIX.encode() and len(told) == 4 and told[0] == request["token"].encode():
                    heard.add((told[1].decode(errors="replace"), port, told[2] == b"large"))


def _send(request: Mapping[str, Any], large: int, over: Event) -> None:
    begun = time.monotonic()
    for moment in SENDS:
        if over.wait(max(0.0, begun + moment - time.monotonic())):
            return
        for peer in request["peers"]:
            _send_to(peer["address"], GOSSIP_PORT, request, 0)
            _send_to(peer["path"], int(request["port"]), request, 0)
            _send_to(peer["path"], int(request["port"]), request, large)


def _send_to(address: str, port: int, request: Mapping[str, Any], size: int) -> None:
    """Send one packet; ``size`` is that of a large one, with its headers."""
    version = ip_address(address).version
    text = f"{PREFIX} {request['token']} {request['node']} {'large' if size else 'small'} ".encode()
    text = text.ljust(size - (IPV4_HEADERS if version == 4 else IPV6_HEADERS), b"x")
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with (
        suppress(OSError),
        socket.socket(family, socket.SOCK_DGRAM) as sending,
    ):  # too large, or no way: it is not heard
        if size:
            sending.setsockopt(*MTU_DISCOVER[version], PROBE)
        sending.sendto(text, (address, port))


def _connect(peer: str, address: str, port: int) -> dict[str, Any] | None:
    try:
        socket.create_connection((address, port), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        return {"peer": peer, "port": port, "why": str(error.strerror or error or "timed out")}
    return None


def _overlay_mtu(engine: Path) -> int:
    """The largest MTU of the overlay networks on this node."""
    try:
        networks = api.ask(engine, "GET", '/networks?filters={"driver":["overlay"]}', seconds=2.0) or []
        named = [int(one["Options"][MTU_OPTION]) for one in networks if MTU_OPTION in (one.get("Options") or {})]
        unnamed = any(MTU_OPTION not in (one.get("Options") or {}) for one in networks)
    except (OSError, ValueError, TypeError, api.Refused):
        return DEFAULT_MTU
    return max([*named, *([DEFAULT_MTU] if unnamed or not named else [])])


def _device(address: str) -> tuple[str, int]:
    """The device to that address, and its MTU."""
    try:
        device = str(json.loads(output.of("ip", "-j", "route", "get", address))[0]["dev"])
        return device, int(Path(f"/sys/class/net/{device}/mtu").read_text())
    except (ValueError, LookupError, TypeError, OSError):
        return "", 0


def _rules(version: int, ports: Sequence[int]) -> list[str]:
    """The rules that drop or reject packets to one of the ports in INPUT, as iptables lists them."""
    listed = output.of("iptables" if version == 4 else "ip6tables", "-w", "1", "-S", "INPUT").splitlines()
    named = {str(port) for port in ports}
    closing = (line for line in listed if line.endswith((" DROP", "REJECT")) or " -j REJECT" in line)
    return [line[:300] for line in closing if named & {*line.replace(",", " ").split()}][:RULES]
