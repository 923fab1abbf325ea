"""Answers of a busy kernel to a page that connects to it.

A page that is loaded while a cell runs asks for the kernel's information and for the state of its
widgets. ipykernel answers such messages between cells, so the page shows "Loading widget..." until
the cell ends. ipykernel 7 can answer messages in a thread of its own, a subshell, and JupyterLab
uses subshells for widgets, but only after it has received the kernel's information.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary, proxy

CONNECTION_REQUESTS = ("kernel_info_request", "comm_info_request")
WIDGET_CONTROL = "jupyter.widget.control"
"""The comm by which a page asks for the state of all widgets."""
_routers: WeakKeyDictionary[Any, _Router] = WeakKeyDictionary()


def answer_pages(kernel: Any) -> bool:
    """Let a subshell answer a page that connects, also while a cell runs.

    These are the requests for the kernel's information and for the widgets' states. All others wait
    for the end of the cell as before, so no code of the notebook runs beside the cell.

    Returns:
        False if the kernel has no subshells; then nothing is changed.
    """
    thread = getattr(kernel, "shell_channel_thread", None)
    stream = getattr(kernel, "shell_stream", None)
    if thread is None or stream is None:
        return False
    if kernel not in _routers:
        _routers[kernel] = _Router(kernel)
        thread.io_loop.add_callback(stream.on_recv, _routers[kernel].receive, copy=False)
    return True


class _Router:
    """Passes messages to the kernel; its methods run in the thread of the shell channel."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = proxy(kernel)
        self._manager = kernel.shell_channel_thread.manager
        self._subshell = ""
        self._control_comms: set[str] = set()

    async def receive(self, frames: list[Any]) -> None:
        try:
            routed = self._for_subshell(frames)
        except (ValueError, TypeError, KeyError):
            routed = None  # not a message; the kernel reports it
        if routed is None:
            await self._kernel.shell_channel_thread_main(frames)
        else:
            socket = self._manager.get_shell_channel_to_subshell_socket(self._subshell)
            socket.send_multipart(routed)

    def _for_subshell(self, frames: list[Any]) -> list[bytes] | None:
        """The message addressed to the subshell; None if the kernel must handle it."""
        session = self._kernel.session
        identities, parts = session.feed_identities(frames, copy=False)
        message = session.deserialize(parts, content=False, copy=False)
        header = message["header"]
        if header.get("subshell_id") is not None or not self._is_of_connection(message):
            return None
        self._subshell = self._subshell or self._manager._create_subshell()  # noqa: SLF001 - the public request is a message to the kernel
        header["subshell_id"] = self._subshell
        return [*session.serialize(message, identities), *message["buffers"]]

    def _is_of_connection(self, message: dict[str, Any]) -> bool:
        kind = message["header"]["msg_type"]
        if not kind.startswith("comm_") or kind in CONNECTION_REQUESTS:
            return kind in CONNECTION_REQUESTS
        content = self._kernel.session.unpack(message["content"])
        if kind == "comm_open" and content.get("target_name") == WIDGET_CONTROL:
            self._control_comms.add(content["comm_id"])
        return content.get("comm_id") in self._control_comms
