"""Connecting to a cluster: addresses, a local one, and what cannot be reached."""

from __future__ import annotations

import socket
import sys
import threading

import pytest

import kmagic
from kmagic.cluster import connection
from kmagic.support.errors import ClusterError
from tests.shells import run_cell

from .nodes import free_port


@pytest.fixture(scope="module")
def local():
    yield kmagic.connect("local")
    connection.disconnect()


@pytest.mark.parametrize("address", ["", "somewhere", "10.0.0.1", "http://host:80", "host:port"])
def test_other_addresses_are_refused(address):
    with pytest.raises(ClusterError, match="must be local, auto, HOST:PORT or ray://HOST:PORT"):
        kmagic.connect(address)


@pytest.mark.parametrize("client", ["", "ray://"])
def test_a_closed_port_is_told_at_once(client):
    address = f"{client}127.0.0.1:{free_port('127.0.0.1')}"
    with pytest.raises(ClusterError, match="cannot be reached: Connection refused") as caught:
        kmagic.connect(address)
    assert "ray status" in caught.value.remedy


def test_another_server_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(connection, "_CONNECT_SECONDS", 0.5)
    no_server = pytest.raises(ClusterError, match="there is no Ray server")
    with socket.create_server(("127.0.0.1", 0)) as server, no_server:
        kmagic.connect(f"127.0.0.1:{server.getsockname()[1]}")


def test_a_port_that_does_not_exist():
    with pytest.raises(ClusterError, match="cannot be reached"):
        kmagic.connect("127.0.0.1:99999")


def test_no_cluster_on_this_machine(monkeypatch):
    monkeypatch.setattr("ray._private.utils.read_ray_address", lambda *_: None)
    with pytest.raises(ClusterError, match="does not belong to a running Ray cluster") as caught:
        kmagic.connect("auto")
    assert 'on="local"' in caught.value.remedy


def test_a_cluster_of_this_machine_that_has_ended(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free_port('127.0.0.1')}")
    with pytest.raises(ClusterError, match="The cluster auto cannot be reached"):
        kmagic.connect("auto")


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match="ray, which is not installed") as caught:
        kmagic.connect("local")
    assert "kmagic[cluster]" in caught.value.remedy


def test_the_local_cluster(local):
    assert kmagic.connect("local") is local
    (node,) = local.nodes
    assert local.cpus == node.cpus > 0
    assert node.memory > 0
    assert local.available["CPU"] == local.cpus
    assert not local.work
    text = local.to_text()
    assert f"{node.cpus:g} CPUs" in text
    html = local._repr_mimebundle_()["text/html"]
    assert node.host in html
    assert "nothing of kmagic" in html


def test_named_work_of_any_notebook_is_shown(local):
    import ray

    class Waiting:
        def wait(self):
            threading.Event().wait()

    actor = ray.remote(num_cpus=1)(Waiting).options(name="kmagic/search for net/ab/0").remote()
    ray.get(actor.__ray_ready__.remote())
    assert local.work == {"search for net": 1}
    assert "running: search for net, 1 process" in local.to_text()
    ray.kill(actor)


def test_how_many_processes_fit(local):
    assert local.require("A trial", cpus=1, gpus=0) == local.cpus
    assert local.require("A trial", cpus=0.5, gpus=0) == 2 * local.cpus
    with pytest.raises(ClusterError, match=r"A trial needs 4000 CPUs, more than any node"):
        local.require("A trial", cpus=4000, gpus=0)
    with pytest.raises(ClusterError, match=r"1 CPUs and 0.5 GPUs"):
        local.require("A trial", cpus=1, gpus=0.5)


@pytest.mark.parametrize(
    ("package", "version", "is_large"),
    [("keras", "2.0.1", True), ("keras", None, False), ("Python", "3.2.1", True)],
)
def test_versions_that_differ(local, monkeypatch, package, version, is_large):
    here = connection.own_versions()
    other = version or here[package].rpartition(".")[0] + ".99"
    # Nodes run the function of the package, this process the patched one.
    versions = here | {package: other}
    compare = connection._compare_versions.__globals__
    original = connection.own_versions
    monkeypatch.setattr(connection, "own_versions", lambda: versions)
    probe = connection.import_ray().remote
    monkeypatch.setattr(
        connection.import_ray(), "remote", lambda **o: lambda _: probe(**o)(original)
    )
    assert compare["own_versions"]() is versions
    if is_large:
        with pytest.raises(ClusterError, match=f"{package} {here[package]} on .*, {other} in this"):
            connection._compare_versions(local.nodes)
    else:
        (message,) = connection._compare_versions(local.nodes)
        assert f"{package} {here[package]} on" in message


@pytest.mark.parametrize(
    ("options", "place"),
    [("--workers 2", "auto"), ("--workers 2 --on off", "local"), ("--on off", None)],
)
def test_off_is_this_machine_for_the_workers_of_a_training(shell, monkeypatch, options, place):
    def connect(_):
        return connection.Cluster("auto")

    places = []
    monkeypatch.setattr(connection, "connect", connect)
    monkeypatch.setattr("kmagic.api.fit", lambda *_, on, **__: places.append(on))
    shell.user_ns["net"] = kmagic.build("input 1 / dense 1 / compile sgd loss=mse")
    run_cell(shell, "%keras_cluster auto -q")[0].raise_error()
    run_cell(shell, f"%keras_fit net {{[1]}} {{[1]}} {options}")[0].raise_error()
    assert places == [place]


def test_the_magic(local, shell):
    result, _ = run_cell(shell, "%keras_cluster")
    assert "uses no cluster" in str(result.error_in_exec)
    result, output = run_cell(shell, "%keras_cluster local -o cluster")
    result.raise_error()
    assert shell.user_ns["cluster"] is local
    assert "local: 1 node" in output.outputs[0].data["text/plain"]
    result, output = run_cell(shell, "%keras_cluster")
    assert "local: 1 node" in output.outputs[0].data["text/plain"]
    result, _ = run_cell(shell, "%keras_cluster nowhere")
    shown = "".join(result.error_in_exec._render_traceback_())
    assert "the address must be local, auto" in shown
    assert "^^^^^^^" in shown
