"""Several Ray nodes on one machine, each in a network of its own where that is permitted.

The head node is in the network of the tests, the others are in network namespaces that a bridge
joins to it. So a node can be killed or lose its network like another machine.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

RAY = Path(sys.executable).with_name("ray")
START_SECONDS = 90.0


class RayNode:
    """A node that runs until it is killed."""

    def __init__(self, name: str, ip: str, namespace: str | None, arguments: list[str]) -> None:
        self.ip, self._namespace = ip, namespace
        inside = ["ip", "netns", "exec", namespace] if namespace else []
        folder = tempfile.mkdtemp(prefix="km", dir="/tmp")
        self._folder = Path(folder)
        self._log = self._folder / f"{name}.log"
        command = [*inside, str(RAY), "start", "--block", f"--node-ip-address={ip}", "--num-gpus=0"]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, "--disable-usage-stats", f"--temp-dir={folder}", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"RAY_AUTH_MODE": "token"},
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def interrupt_network(self, seconds: float) -> None:
        """Unplug the node for a time."""
        ip("link", "set", self.link, "down")
        time.sleep(seconds)  # this is what is tested
        ip("link", "set", self.link, "up")

    @property
    def link(self) -> str:
        assert self._namespace
        return self._namespace + "v"

    def kill(self) -> None:
        """End all its processes at once, as if the machine had lost its power."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        if self._namespace:
            for pid in ip("netns", "pids", self._namespace).split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        else:
            for child in children(self._folder):
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


class RayNodes:
    """A head node without CPUs, and nodes with one or more."""

    def __init__(self, name: str, bridge_ip: str | None) -> None:
        self._name, self._bridge = name, bridge_ip
        ip_of_head = bridge_ip or "127.0.0.1"
        self.address = f"{ip_of_head}:{free_port(ip_of_head)}"
        port = self.address.rpartition(":")[2]
        self.nodes: list[RayNode] = []
        arguments = ["--head", f"--port={port}", "--num-cpus=0", "--include-dashboard=false"]
        client = f"--ray-client-server-port={free_port(ip_of_head)}"
        self.head = RayNode("head", ip_of_head, None, [*arguments, client])
        self.client_address = f"ray://{ip_of_head}:{client.rpartition('=')[2]}"
        self._wait(self.head)

    @property
    def has_networks(self) -> bool:
        """Whether each node has a network of its own."""
        return self._bridge is not None

    def add(self, cpus: int = 1) -> RayNode:
        number = len(self.nodes) + 2
        namespace, address = None, self.address.partition(":")[0]
        if self._bridge:
            namespace, address = f"{self._name}n{number}", self._bridge[:-1] + str(number)
            add_namespace(namespace, f"{self._name}b", address)
        arguments = [f"--address={self.address}", f"--num-cpus={cpus}"]
        node = RayNode(f"node{number}", address, namespace, arguments)
        self.nodes.append(node)
        self._wait(node)
        return node

    def _wait(self, node: RayNode) -> None:
        end = time.monotonic() + START_SECONDS
        while "Ray runtime started" not in node.log:
            assert node.process.poll() is None, node.log
            assert time.monotonic() < end, node.log
            time.sleep(0.1)  # until it has written that

    def close(self) -> None:
        for node in [*self.nodes, self.head]:
            node.kill()
        if self._bridge:
            for number in range(len(self.nodes)):
                ip("netns", "del", f"{self._name}n{number + 2}")
            ip("link", "del", f"{self._name}b")


@contextmanager
def ray_nodes() -> Iterator[RayNodes]:
    """A head node, to which nodes can be added; all end afterwards."""
    token = Path(os.environ["HOME"]) / ".ray" / "auth_token"
    if not token.exists():
        token.parent.mkdir(exist_ok=True)
        token.write_text(secrets.token_hex(32))
    name = "km" + secrets.token_hex(3)
    nodes = RayNodes(name, add_bridge(f"{name}b"))
    try:
        yield nodes
    finally:
        nodes.close()


def ip(*arguments: str) -> str:
    """Run the command for networks."""
    command = ["ip", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def add_bridge(name: str) -> str | None:
    """Add a bridge with an address, which is returned; None if that is not permitted."""
    address = f"10.{secrets.randbelow(200) + 20}.{secrets.randbelow(250)}.1"
    try:
        ip("netns", "add", name)
        ip("netns", "del", name)
        ip("link", "add", name, "type", "bridge")
    except (OSError, subprocess.CalledProcessError):
        return None
    ip("addr", "add", f"{address}/24", "dev", name)
    ip("link", "set", name, "up")
    return address


def add_namespace(name: str, bridge: str, address: str) -> None:
    ip("netns", "add", name)
    ip("link", "add", name + "v", "type", "veth", "peer", "name", "eth0", "netns", name)
    ip("link", "set", name + "v", "master", bridge, "up")
    ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
    ip("-n", name, "link", "set", "eth0", "up")
    ip("-n", name, "link", "set", "lo", "up")


def free_port(address: str) -> int:
    with socket.socket() as server:
        server.bind((address, 0))
        return int(server.getsockname()[1])


def children(folder: Path) -> list[int]:
    """The processes whose command contains a folder."""
    found = []
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if (
                process.name.isdigit()
                and str(folder).encode() in (process / "cmdline").read_bytes()
            ):
                found.append(int(process.name))
    return found
