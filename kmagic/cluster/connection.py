"""The connection to a Ray cluster: find it, and check that its nodes have the same versions."""

from __future__ import annotations

import logging
import os
import platform
import re
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from kmagic.support.errors import ClusterError
from kmagic.support.formatting import (
    describe_error,
    format_bytes,
    list_names,
    pluralize,
)
from kmagic.support.process_patches import quiet_start, silence_ray_nodes
from kmagic.support.rendering import Renderable

LOCAL, AUTO, OFF = "local", "auto", "off"
EXPECTED = "local, auto, HOST:PORT or ray://HOST:PORT"
ACTOR_PREFIX = "kmagic"
"""All actors have names that begin so: what runs on a cluster is known from them."""
_PACKAGES = ("kmagic", "tensorflow", "keras")
_HEAD_METHOD = "/ray.rpc.NodeInfoGcsService/CheckAlive"
_CLIENT_METHOD = "/ray.rpc.RayletDriver/KVExists"
_CONNECT_SECONDS, _NODE_SECONDS = 5.0, 30.0
_ADDRESS = re.compile(
    r"(?P<client>ray://)?(?P<host>\[[\da-f:]+\]|[\w.-]+):(?P<port>\d{1,5})", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """A machine of a cluster.

    Attributes:
        id: Ray's identifier of it.
        host: Its name.
        ip: Its address.
        cpus: Number of processor cores that Ray distributes.
        gpus: Number of GPUs, likewise.
        memory: Bytes of memory for the processes of tasks.
        object_store: Bytes of memory for data that processes share.
    """

    id: str
    host: str
    ip: str
    cpus: float
    gpus: float
    memory: int
    object_store: int


@dataclass(frozen=True, repr=False, eq=False)
class Cluster(Renderable):
    """A Ray cluster to which this process is connected.

    Attributes:
        address: The address, as it was given.
        messages: What the user should know, such as versions that differ a little.
    """

    address: str
    messages: list[str] = field(default_factory=list)

    renderer: ClassVar[str] = "kmagic.display.cluster.cluster_card:cluster_bundle"

    @property
    def nodes(self) -> tuple[ClusterNode, ...]:
        """The machines that are alive."""
        ray = import_ray()
        return tuple(
            ClusterNode(
                node["NodeID"],
                node["NodeManagerHostname"],
                node["NodeManagerAddress"],
                node["Resources"].get("CPU", 0.0),
                node["Resources"].get("GPU", 0.0),
                int(node["Resources"].get("memory", 0)),
                int(node["Resources"].get("object_store_memory", 0)),
            )
            for node in ray.nodes()
            if node["Alive"]
        )

    @property
    def cpus(self) -> float:
        """Processor cores of all nodes."""
        return sum(node.cpus for node in self.nodes)

    @property
    def gpus(self) -> float:
        """GPUs of all nodes."""
        return sum(node.gpus for node in self.nodes)

    @property
    def available(self) -> dict[str, float]:
        """Cores and GPUs that no work uses at the moment."""
        resources = import_ray().available_resources()
        return {name: resources.get(name, 0.0) for name in ("CPU", "GPU")}

    @property
    def work(self) -> dict[str, int]:
        """What kmagic runs on it, for any notebook -> the number of its processes."""
        from ray.util import list_named_actors  # noqa: PLC0415 - an extra

        counts: dict[str, int] = {}
        for actor in list_named_actors(all_namespaces=True):
            prefix, *parts = actor["name"].split("/")
            if prefix == ACTOR_PREFIX:
                work = parts[0]
                counts[work] = counts.get(work, 0) + 1
        return counts

    def require(self, work: str, *, cpus: float, gpus: float) -> int:
        """How many processes with such needs the nodes can run at the same time, at least one.

        Raises:
            ClusterError: No node is large enough.
        """
        count = 0
        for node in self.nodes:
            shares = [
                have / need for have, need in ((node.cpus, cpus), (node.gpus, gpus)) if need > 0
            ]
            count += int(min(shares, default=1) + 1e-9)
        if count:
            return count
        need = f"{cpus:g} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
        largest = list_names(f"{node.host} has {_parts_of(node)}" for node in self.nodes)
        raise ClusterError(
            f"{work} needs {need}, more than any node of the cluster has: {largest}.",
            "Ask for less, or add a node with `ray start --address=HOST:PORT`.",
        )

    def require_files(self, paths: Sequence[Path]) -> None:
        """Check that all nodes see the same files, by their size.

        Raises:
            ClusterError: One does not.
        """
        names, sizes = [str(path) for path in paths], [path.stat().st_size for path in paths]
        workers = tuple(node for node in self.nodes if node.cpus)
        for node, found in _ask_nodes(workers, _file_sizes, names).items():
            for name, size, there in zip(names, sizes, found, strict=True):
                if size != there:
                    raise ClusterError(
                        f"{name} is not on the node {node.host} ({node.ip}), or is another file.",
                        "Put the data into a folder that all nodes share, at the same path.",
                    )

    def to_text(self) -> str:
        """Nodes, resources and running work, a line each.

        Example:
            >>> print(connect("local").to_text())  # doctest: +SKIP
            local: 1 node, 8 CPUs (8 free), 0 GPUs
              laptop (127.0.0.1)  8 CPUs, 0 GPUs, 12.4 GB
        """
        nodes, free = self.nodes, self.available
        lines = [
            f"{self.address}: {pluralize(len(nodes), 'node')}, {self.cpus:g} CPUs "
            f"({free['CPU']:g} free), {self.gpus:g} GPUs"
            + (f" ({free['GPU']:g} free)" if self.gpus else "")
        ]
        lines += [f"  {node.host} ({node.ip})  {_parts_of(node)}" for node in nodes]
        lines += [
            f"  running: {work}, {pluralize(count, 'process', 'processes')}"
            for work, count in self.work.items()
        ]
        return "\n".join([*lines, *self.messages])

    def __repr__(self) -> str:
        return self.to_text()


def _parts_of(node: ClusterNode) -> str:
    return f"{node.cpus:g} CPUs, {node.gpus:g} GPUs, {format_bytes(node.memory)}"


def import_ray() -> ModuleType:
    """Ray, which is an extra.

    Raises:
        ClusterError: It is not installed.
    """
    # Ray reports usage over the network unless this is said before its import.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import cloudpickle  # noqa: F401, PLC0415 - an extra
        import ray  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ClusterError(
            f"Work on a cluster needs {error.name}, which is not installed.",
            'Run `%pip install "kmagic[cluster]"`.',
        ) from error
    return ray


_connected: Cluster | None = None
"""The cluster of this process; Ray allows one at a time."""


def connect(on: str) -> Cluster:
    """Connect this process to a Ray cluster.

    Args:
        on: "local" starts Ray on this machine, with all its cores, until the process ends or
            connects to another cluster. "auto" uses the cluster that this machine belongs to.
            "HOST:PORT" is the address of a cluster that this machine belongs to, and
            "ray://HOST:PORT" that of one to which it does not belong, by its Ray Client server.

    Returns:
        The cluster. Its versions of Python, TensorFlow, Keras and kmagic are those of this process,
        at least up to the second number; ``messages`` lists smaller differences.

    Raises:
        ClusterError: Ray is not installed, the cluster cannot be reached, or versions differ.

    Example:
        >>> connect("local").cpus  # doctest: +SKIP
        8.0
    """
    global _connected  # noqa: PLW0603 - Ray itself has one connection per process
    address = str(on).strip()
    match = _ADDRESS.fullmatch(address)
    if address not in (LOCAL, AUTO) and not match:
        raise ClusterError(option="on", expected=EXPECTED, actual=on)
    ray = import_ray()
    if ray.is_initialized():
        if _connected is not None and _connected.address == address:
            return _connected
        if _connected is not None:
            disconnect()
        elif address != AUTO:
            raise ClusterError(
                "This process is already connected to Ray, by ray.init.",
                'Use that connection, on="auto", or end it: ray.shutdown().',
            )
    if not ray.is_initialized():
        if address == AUTO:
            # Ray itself may take any cluster that runs on this machine.
            match = _ADDRESS.fullmatch(_own_address())
            if match is None:
                raise ClusterError(
                    "This machine does not belong to a running Ray cluster.",
                    'Start one with `ray start --head`, or use on="local".',
                )
        if match:
            _check_reachable(address, match["host"].strip("[]"), int(match["port"]))
        _start_ray(ray, match[0] if match else address)
    cluster = Cluster(address)
    try:
        cluster.messages.extend(_compare_versions(cluster.nodes))
    except BaseException:
        ray.shutdown()
        raise
    _connected = cluster
    return cluster


def default_address() -> str:
    """The address of the cluster to which this process is connected; otherwise "local"."""
    return LOCAL if _connected is None else _connected.address


def disconnect() -> None:
    """End the connection; a cluster that ``connect("local")`` started ends with it."""
    global _connected  # noqa: PLW0603 - as in connect
    if _connected is not None:
        import_ray().shutdown()
    _connected = None


def _own_address() -> str:
    """The cluster that this machine belongs to, which may have ended; "" if there is none.

    Ray itself waits for minutes for one that has ended.
    """
    with suppress(ImportError):
        from ray._private.utils import read_ray_address  # noqa: PLC0415 - no public way

        return os.environ.get("RAY_ADDRESS") or read_ray_address() or ""
    return ""


def _check_reachable(address: str, host: str, port: int) -> None:
    """Find out within seconds whether a Ray server answers: Ray itself waits for minutes."""
    import grpc  # noqa: PLC0415 - comes with Ray

    remedy = (
        "Check the address and whether the cluster runs: `ray status` on its head node. The port "
        "is 6379 by default, for ray:// 10001."
    )
    try:
        socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or describe_error(error)
        raise ClusterError(f"The cluster {address} cannot be reached: {reason}.", remedy) from error
    if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
        return
    method = _CLIENT_METHOD if address.startswith("ray://") else _HEAD_METHOD
    with grpc.insecure_channel(f"{host}:{port}") as channel:
        try:
            channel.unary_unary(method)(b"", timeout=_CONNECT_SECONDS)
        except grpc.RpcError as error:
            # Ray refuses an empty request or one without a token in other ways.
            codes = grpc.StatusCode
            if error.code() in (codes.UNIMPLEMENTED, codes.UNAVAILABLE, codes.DEADLINE_EXCEEDED):
                raise ClusterError(f"At {address} there is no Ray server.", remedy) from None


def _start_ray(ray: ModuleType, address: str) -> None:
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        settings["include_dashboard"] = False
    else:
        _use_token_if_there_is_one()
    try:
        with quiet_start():
            ray.init(address, **settings)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        with suppress(Exception):
            ray.shutdown()
        raise _explain(error, address) from error
    silence_ray_nodes()


def _use_token_if_there_is_one() -> None:
    """Authenticate with this machine's token, which Ray itself does only where it starts nodes."""
    logging.getLogger("ray").setLevel(logging.ERROR)
    with suppress(ImportError):  # earlier than 2.5x there are no tokens
        from ray._private.authentication.authentication_token_setup import (  # noqa: PLC0415 - no public way
            maybe_enable_token_auth_if_token_available,
        )

        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)


def _explain(error: Exception, address: str) -> ClusterError:
    text = describe_error(error)
    if "InvalidAuthToken" in f"{error} {error.__cause__}":
        return ClusterError(
            f"The cluster {address} refuses this machine: it has not the same token.",
            "Copy the file ~/.ray/auth_token of the head node to this machine, and restart the "
            "kernel.",
        )
    if address == LOCAL:
        return ClusterError(f"Ray cannot start on this machine: {text}")
    if "mismatch" in text:
        return ClusterError(
            f"The cluster {address} has other versions than this notebook: {text}",
            "Install the same versions of Python and Ray on both.",
        )
    remedy = (
        ""
        if address.startswith("ray://")
        else (
            "If this machine is not one of its nodes, use ray://HOST:10001, or join it with "
            f"`ray start --address={address}`."
        )
    )
    return ClusterError(f"The cluster {address} cannot be used: {text}", remedy)


# --- versions -------------------------------------------------------------------------------------


def own_versions() -> dict[str, str]:
    """Versions of Python and of what a training needs; "" for what is not installed.

    Example:
        >>> sorted(own_versions())
        ['Python', 'keras', 'kmagic', 'tensorflow']
    """
    versions = {"Python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = ""
    return versions


def _file_sizes(paths: list[str]) -> list[int]:
    """The size of each file; -1 if there is none."""
    return [Path(path).stat().st_size if Path(path).is_file() else -1 for path in paths]


def _compare_versions(nodes: tuple[ClusterNode, ...]) -> list[str]:
    """Differences that do not matter.

    Raises:
        ClusterError: Versions differ so much that models or pickled objects may not work.
    """
    here = own_versions()
    small: list[str] = []
    large: list[str] = []
    remedy = f'kmagic must be installed there: pip install "kmagic[cluster]=={here["kmagic"]}".'
    for node, there in _ask_nodes(nodes, own_versions, remedy=remedy).items():
        for package, version in here.items():
            if there[package] == version:
                continue
            found = there[package] or "is missing"
            text = f"{package} {found} on {node.host} ({node.ip}), {version} in this notebook"
            is_small = there[package].split(".")[:2] == version.split(".")[:2]
            (small if is_small else large).append(text)
    if large:
        raise ClusterError(
            "The versions of the cluster and of this notebook differ: " + "; ".join(large) + ".",
            f'Install the same ones: pip install "kmagic[cluster]=={here["kmagic"]}" '
            f"tensorflow=={here['tensorflow']} keras=={here['keras']}.",
        )
    return [f"Version of {text}." for text in small]


def _ask_nodes(
    nodes: tuple[ClusterNode, ...], function: Callable[..., Any], *arguments: Any, remedy: str = ""
) -> dict[ClusterNode, Any]:
    """What a function returns on each node."""
    ray = import_ray()
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415 - an extra

    probe = ray.remote(num_cpus=0, max_retries=0)(function)
    asked = {
        node: probe.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)
        ).remote(*arguments)
        for node in nodes
    }
    references = list(asked.values())
    done, _ = ray.wait(references, num_returns=len(references), timeout=_NODE_SECONDS)
    answers = {}
    for node, reference in asked.items():
        where = f"The node {node.host} ({node.ip})"
        if reference not in done:
            raise ClusterError(f"{where} does not answer.", "Look at `ray status`.")
        try:
            answers[node] = ray.get(reference)
        except Exception as error:
            text = describe_error(error)
            raise ClusterError(f"{where} cannot be used: {text}", remedy) from error
    return answers
