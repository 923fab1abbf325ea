"""The kernel's answers to the editor of a page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kmagic.magics.editor.editor_comm import TARGET

if TYPE_CHECKING:
    from jupyter_client.blocking import BlockingKernelClient

CODE = "%%keras_model m\ninput 4\ndense {n}\ndense 2 rleu"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlockingKernelClient]:
    """A kernel with kmagic loaded."""
    from jupyter_client.manager import KernelManager

    home = tmp_path_factory.mktemp("kernel")
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(home), env={**os.environ, "IPYTHONDIR": str(home / "ipython")})
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=120)
        assert comm_ids(client) == []
        run(client, "import keras\n%load_ext kmagic\n%load_ext kmagic\nn = 3")
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def run(client: BlockingKernelClient, code: str) -> str:
    """Run a cell; return what it prints."""
    printed: list[str] = []
    reply = client.execute_interactive(
        code,
        timeout=120,
        output_hook=lambda message: printed.append(message["content"].get("text", "")),
    )
    assert reply["content"]["status"] == "ok", reply
    return "".join(printed)


def comm_ids(client: BlockingKernelClient) -> list[str]:
    reply = client.comm_info(target_name=TARGET, reply=True, timeout=60)
    return list(reply["content"]["comms"])


def send(client: BlockingKernelClient, *requests: dict[str, Any]) -> None:
    """Send requests, as a page does that has found the comm."""
    (comm,) = comm_ids(client)
    for number, request in enumerate(requests):
        data = {"client": "page", "id": number, **request}
        message = client.session.msg("comm_msg", {"comm_id": comm, "data": data})
        client.shell_channel.send(message)


def answer(client: BlockingKernelClient) -> dict[str, Any]:
    while (message := client.get_iopub_msg(timeout=120))["msg_type"] != "comm_msg":
        pass
    data: dict[str, Any] = message["content"]["data"]
    return data


def test_a_check_uses_the_variables_of_the_notebook(client):
    send(client, {"kind": "check", "code": CODE})
    data = answer(client)
    assert (data["kind"], data["client"], data["id"]) == ("check", "page", 0)
    assert [line["shape"] for line in data["lines"]] == ["4", "3"]
    assert [problem["fix"]["text"] for problem in data["problems"]] == ["relu"]


def test_help_and_the_inspector(client):
    send(client, {"kind": "help", "code": CODE, "line": 2, "column": 2})
    assert "keras.layers.Dense" in answer(client)["html"]
    content = client.inspect(CODE, CODE.index("dense") + 2, reply=True, timeout=60)["content"]
    assert "keras.layers.Dense" in content["data"]["text/plain"]
    content = client.inspect(CODE, CODE.index("{n") + 2, reply=True, timeout=60)["content"]
    assert "int" in content["data"]["text/plain"]
    content = client.inspect("print", 3, reply=True, timeout=60)["content"]
    assert "Prints the values" in content["data"]["text/plain"]


def is_end_of_cell(message: dict[str, Any], cell: str) -> bool:
    idle = message["content"].get("execution_state") == "idle"
    return idle and message["parent_header"]["msg_id"] == cell


def test_summaries_of_words(client):
    send(client, {"kind": "summaries"})
    summaries = answer(client)["summaries"]
    assert summaries["maxpool"] == "Max pooling operation for 2D spatial data"
    assert summaries["adam"] == "Optimizer that implements the Adam algorithm"
    assert summaries["repeat"].startswith("Repeats the indented lines")


def test_requests_wait_for_the_end_of_a_cell_also_in_a_subshell(client, tmp_path: Path):
    done = tmp_path / "done"
    client.control_channel.send(client.session.msg("create_subshell_request"))
    subshell_id = client.control_channel.get_msg(timeout=60)["content"]["subshell_id"]
    (comm,) = comm_ids(client)
    cell = client.execute(
        "import time\nfrom pathlib import Path\n"
        f"while not Path({str(done)!r}).exists():\n    time.sleep(0.01)\n"
        "n = 5"
    )
    while client.get_iopub_msg(timeout=120)["msg_type"] != "execute_input":
        pass
    for number in range(3):
        data = {"client": "page", "id": number, "kind": "check", "code": CODE}
        message = client.session.msg("comm_msg", {"comm_id": comm, "data": data})
        message["header"]["subshell_id"] = subshell_id
        client.shell_channel.send(message)
    done.touch()
    while not is_end_of_cell(message := client.get_iopub_msg(timeout=120), cell):
        assert message["msg_type"] != "comm_msg"
    while (data := answer(client))["id"] != 2:
        pass
    assert [line["shape"] for line in data["lines"]] == ["4", "5"]


def test_a_bug_is_logged_and_answered(client):
    run(client, "import logging; get_ipython().kernel.log.addHandler(logging.StreamHandler())")
    send(client, {"kind": "help", "code": CODE, "line": "two", "column": 2})
    assert answer(client)["id"] == 0


def test_nothing_is_left_after_unloading(client):
    run(client, "%unload_ext kmagic")
    assert comm_ids(client) == []
    content = client.inspect(CODE, CODE.index("dense") + 2, reply=True, timeout=60)["content"]
    assert not content["found"]
