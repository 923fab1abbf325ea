"""A kernel that answers a page while a cell runs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from kmagic.support.busy_kernel import WIDGET_CONTROL, answer_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_client.blocking import BlockingKernelClient

CELL = """
import time, ipywidgets
from pathlib import Path
from kmagic.support.busy_kernel import answer_pages
slider = ipywidgets.IntSlider(value=7)
asked = []
get_ipython().kernel.comm_manager.register_target("notebook", lambda *_: asked.append(1))
print(answer_pages(get_ipython().kernel), answer_pages(get_ipython().kernel))
while not Path("done").exists():
    time.sleep(0.01)
print(asked)
"""


@pytest.fixture
def connect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], BlockingKernelClient]]:
    """Connect to a kernel in a temporary folder, as each page does."""
    from jupyter_client.manager import KernelManager

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(tmp_path))
    clients: list[BlockingKernelClient] = []

    def connect() -> BlockingKernelClient:
        clients.append(manager.client())
        clients[-1].start_channels()
        return clients[-1]

    try:
        yield connect
    finally:
        for client in clients:
            client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def open_comm(client: BlockingKernelClient, target: str, *messages: dict[str, Any]) -> None:
    """Open a comm to a target, and send messages to it."""
    content = {"comm_id": target, "target_name": target, "data": {}}
    client.shell_channel.send(
        client.session.msg("comm_open", content, metadata={"version": "1.0.0"})
    )
    for data in messages:
        client.shell_channel.send(client.session.msg("comm_msg", {"comm_id": target, "data": data}))


def printed(client: BlockingKernelClient) -> str:
    """What the kernel prints next."""
    while (message := client.get_iopub_msg(timeout=120))["msg_type"] != "stream":
        assert message["msg_type"] != "error", message["content"]["evalue"]
    text: str = message["content"]["text"]
    return text


def test_it_answers_a_page_and_nothing_else(
    connect: Callable[[], BlockingKernelClient], tmp_path: Path
) -> None:
    notebook = connect()
    notebook.wait_for_ready(timeout=120)
    notebook.execute(CELL)
    assert printed(notebook) == "True True\n"
    page = connect()
    page.kernel_info()
    reply = page.get_shell_msg(timeout=120)
    assert reply["msg_type"] == "kernel_info_reply"
    open_comm(page, "notebook")
    open_comm(page, WIDGET_CONTROL, {"method": "request_states"})
    while True:
        message = page.get_iopub_msg(timeout=120)
        data = message["content"].get("data", {})
        if message["msg_type"] == "comm_msg" and data.get("method") == "update_states":
            break
    assert {"value": 7}.items() <= next(
        state["state"].items() for state in data["states"].values() if "value" in state["state"]
    )
    assert not (tmp_path / "done").exists()
    (tmp_path / "done").touch()
    # The notebook's own comm waited for the end of the cell.
    assert printed(notebook) == "[]\n"


def test_a_kernel_without_subshells_is_left_alone() -> None:
    assert not answer_pages(SimpleNamespace(shell_stream=object()))
    assert not answer_pages(None)
