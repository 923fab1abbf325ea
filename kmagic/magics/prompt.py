"""In a terminal: no empty ``Out[3]:`` below what a magic has shown.

A notebook leaves an output out that has nothing to show. A terminal writes its prompt first and
asks then, so its hook is told before: the result is ``_`` and ``Out[3]`` all the same.
"""

from __future__ import annotations

from typing import Any

from kmagic.support.rendering import was_just_displayed

NAME = "KmagicDisplayHook"


def register(shell: Any) -> None:
    """Let a terminal's shell leave the prompt out; a kernel's has none."""
    hook = shell.displayhook
    if getattr(shell, "kernel", None) is not None or type(hook).__name__ == NAME:
        return
    theirs: type[Any] = type(hook)

    def displayhook(self: Any, result: Any = None) -> None:
        if result is None or self.quiet() or not was_just_displayed(result):
            theirs.__call__(self, result)
            return
        self.check_for_underscore()
        self.update_user_ns(result)
        self.fill_exec_result(result)

    # The same object goes on, so that whoever holds it, and what it counts, stays right.
    hook.__class__ = type(NAME, (theirs,), {"__call__": displayhook})


def unregister(shell: Any) -> None:
    """Give the shell its own hook back."""
    hook = shell.displayhook
    if type(hook).__name__ == NAME:
        hook.__class__ = type(hook).__bases__[0]
