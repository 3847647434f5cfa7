"""Which packets pass between this node and the others: each tries each, at the same time.

TCP ports are tried by a connection. A UDP port of a swarm gives no answer, so every node sends packets to the others, and
listens for theirs with a raw socket. The kernel hands a packet to a raw socket after its own firewall (ip(7), raw(7)), and the
packet also goes its usual way: gossip drops it because it has no key, and VXLAN because it has no flags.
"""

import json
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from threading import Event, Thread
from typing import Any

from recovery.onnode import api
from recovery.onnode.look import output
from recovery.onnode.look.exchange import Exchange, Probe, parsed
from recovery.swarm.limits import REFUSED, VXLAN

GOSSIP_PORT = 7946
WINDOW_SECONDS = 3.3
"""How long a node listens. Logins to 29 nodes end within two seconds of each other."""
ENOUGH_SECONDS = 2.4
"""For a node whose exchange is done with every machine that takes a connection."""
SENDS = (0.2, 1.1, 2.0, 2.9)
"""Seconds after the beginning at which a node sends what has not arrived, also to those that it has not heard."""
TICK_SECONDS = 0.1
CONNECT_SECONDS = 2.0
AT_ONCE = 32
IPV4_HEADERS, IPV6_HEADERS = 28, 48
"""Bytes of the headers of IP and UDP."""
DEFAULT_MTU = 1450
"""The MTU of an overlay network whose options name none (libnetwork, drivers/overlay)."""
MTU_OPTION = "com.docker.network.driver.mtu"
PROBE = getattr(socket, "IP_PMTUDISC_PROBE", 3)
"""Send as it is, never in fragments (Linux, in.h: IP_PMTUDISC_PROBE)."""
MTU_DISCOVER = {4: (socket.IPPROTO_IP, 10), 6: (socket.IPPROTO_IPV6, 23)}
"""IP_MTU_DISCOVER and IPV6_MTU_DISCOVER (Linux, in.h and in6.h)."""
RULES = 10


def look(engine: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """What passed within `WINDOW_SECONDS`. It takes less if everything passes, and `ENOUGH_SECONDS` if the rest is dead."""
    peers: Sequence[Mapping[str, Any]] = request["peers"]
    if not peers:
        return {"began": time.time(), "ended": time.time()}
    version = ip_address(peers[0]["path"]).version
    versions = {version, ip_address(peers[0]["address"]).version}
    large, overlay = _overlay_mtu(engine) + VXLAN[version], int(request["port"])
    # Gossip writes a line to the engine's log for each packet, so the news go to the other port.
    gossip, small = Probe(GOSSIP_PORT, large=False), Probe(overlay, large=False)
    exchange = Exchange([peer["name"] for peer in peers], (gossip, small, Probe(overlay, large=True)), news=small)
    over = Event()
    began = time.time()
    for one in versions:
        Thread(target=_listen, args=(exchange, request["token"], one, over), daemon=True).start()
    Thread(target=_send, args=(exchange, request, large, over), daemon=True).start()
    untaken, silent = _connections(peers, request["managers_port"])
    device, mtu = _device(peers[0]["path"])
    while (passed := time.time() - began) < WINDOW_SECONDS:
        left = exchange.left()
        if not left or (passed > ENOUGH_SECONDS and left <= silent):
            break
        over.wait(TICK_SECONDS)
    over.set()
    heard = sorted((peer, *probe) for peer, probe in exchange.heard)
    return {
        "began": began,
        "ended": time.time(),
        "heard": [{"peer": peer, "port": port, "large": big} for peer, port, big in heard],
        "untaken": untaken,
        "device": device,
        "mtu": mtu,
        "large": large,
        "rules": [rule for one in versions for rule in _rules(one, (request["managers_port"], GOSSIP_PORT, overlay))],
    }


def _listen(exchange: Exchange, token: str, version: int, over: Event) -> None:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw:
        raw.settimeout(0.2)
        while not over.is_set():
            with suppress(TimeoutError):
                packet = raw.recv(1 << 16)
                udp = packet[(packet[0] & 15) * 4 :] if version == 4 else packet  # raw(7): IPv6 gives no header
                if told := parsed(udp[8:200], token):
                    exchange.take(told, int.from_bytes(udp[2:4], "big"))


def _send(exchange: Exchange, request: Mapping[str, Any], large: int, over: Event) -> None:
    begun, moments = time.monotonic(), list(SENDS)
    while not over.wait(TICK_SECONDS):
        due = bool(moments) and time.monotonic() - begun >= moments[0]
        del moments[:due]
        for peer in request["peers"]:
            text, probes = exchange.due(peer["name"], request["token"], request["node"], again=due)
            for probe in probes:
                to = peer["address"] if probe.port == GOSSIP_PORT else peer["path"]
                _send_to(to, probe.port, f"{text}{'large' if probe.large else 'small'} ", large if probe.large else 0)


def _send_to(address: str, port: int, text: str, size: int) -> None:
    """Send one packet; ``size`` is that of a large one, with its headers."""
    version = ip_address(address).version
    packet = text.encode().ljust(size - (IPV4_HEADERS if version == 4 else IPV6_HEADERS), b"x")
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with (
        suppress(OSError),
        socket.socket(family, socket.SOCK_DGRAM) as sending,
    ):  # too large, or no way: it is not heard
        if size:
            sending.setsockopt(*MTU_DISCOVER[version], PROBE)
        sending.sendto(packet, (address, port))


def _connections(peers: Sequence[Mapping[str, Any]], managers_port: int) -> tuple[list[dict[str, Any]], set[str]]:
    """The ports that take no connection, and the peers that take none at all."""
    ports = {True: (managers_port, GOSSIP_PORT), False: (GOSSIP_PORT,)}
    left = [(peer["name"], peer["address"], port) for peer in peers for port in ports[peer["manager"]]]
    wanted, untaken = [(name, port) for name, _, port in left], []

    def work() -> None:
        while left:
            with suppress(IndexError):  # another thread was faster
                name, address, port = left.pop()
                if why := _refused(address, port):
                    untaken.append({"peer": name, "port": port, "why": why})

    threads = [Thread(target=work, daemon=True) for _ in range(min(AT_ONCE, len(left)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failed = {(one["peer"], one["port"]) for one in untaken}
    return untaken, {name for name, _ in wanted} - {name for name, port in wanted if (name, port) not in failed}


def _refused(address: str, port: int) -> str:
    """Why the port takes no connection; empty if it does."""
    try:
        socket.create_connection((address, port), timeout=CONNECT_SECONDS).close()
    except ConnectionRefusedError:
        return REFUSED
    except OSError as error:
        return str(error.strerror or error or "timed out")
    return ""


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
