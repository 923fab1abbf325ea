"""Answers to the page: what it shows while the user types in a ``%%keras_model`` cell.

The page finds the comm by its target, so a page without the extension is not told of it. Requests
are answered between cells only, because building a model while another is trained would change
both; of several waiting requests of a page, only the last is answered.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from kmagic.magics.completion.candidates import word_summaries
from kmagic.magics.editor.model_cell import check_cell
from kmagic.magics.editor.word_inspection import help_message, inspect_cell
from kmagic.magics.session import Session
from kmagic.support import keras_import
from kmagic.support.process_patches import install_inspector, remove_inspector

TARGET = "kmagic.editor"
_WAIT = 0.3
"""Seconds after which a request is looked at again while Keras is imported."""


class EditorComm:
    """One kernel's answers to all pages that show its notebook."""

    def __init__(self, shell: Any, session: Session) -> None:
        from comm import create_comm, get_comm_manager  # noqa: PLC0415 - only where there is a kernel

        self._kernel, self._session = shell.kernel, session
        self._waiting: dict[tuple[str, str], dict[str, Any]] = {}
        self._comm = create_comm(target_name=TARGET, primary=False)
        self._comm.on_msg(self._receive)
        get_comm_manager().register_comm(self._comm)

    def close(self) -> None:
        """Answer no more requests."""
        self._comm.close()

    def _receive(self, message: dict[str, Any]) -> None:
        """Note a request; this may run in the thread of a subshell while a cell runs."""
        request = message["content"]["data"]
        self._waiting[request["client"], request["kind"]] = request
        if threading.current_thread() is threading.main_thread():
            self._answer_all()
        else:
            self._kernel.io_loop.add_callback(self._answer_all)

    def _answer_all(self) -> None:
        if keras_import.is_loading():
            self._kernel.io_loop.call_later(_WAIT, self._answer_all)
            return
        while self._waiting:
            _, request = self._waiting.popitem()
            try:
                answer = self._answer(request)
            except Exception:  # a mistake of ours must not disturb the user who is typing
                self._kernel.log.exception("kmagic could not answer the editor")
                answer = {}
            self._comm.send({**{key: request[key] for key in ("kind", "client", "id")}, **answer})

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["kind"] == "summaries":
            return {"summaries": word_summaries()} if keras_import.is_loaded() else {}
        code, names = request["code"], self._session.names
        if request["kind"] == "help":
            return help_message(code, request["line"], request["column"], names)
        return check_cell(code if keras_import.is_loaded() else "", names)


_editors: WeakKeyDictionary[Any, EditorComm] = WeakKeyDictionary()
"""Shell -> its answers."""


def register(shell: Any, session: Session) -> None:
    """Answer the editors of a kernel's pages, and the inspector in cells that define a model."""
    unregister(shell)
    if getattr(shell, "kernel", None) is not None:
        _editors[shell] = EditorComm(shell, session)
        install_inspector(shell.kernel, partial(inspect_cell, session))


def unregister(shell: Any) -> None:
    """Answer no more."""
    editor = _editors.pop(shell, None)
    if editor is not None:
        editor.close()
        remove_inspector(shell.kernel)
