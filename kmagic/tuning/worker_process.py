"""A worker: a process that trains one trial after another, for the process that started it.

It reads the setup from a file, then tasks from a connection, on which it reports each epoch and
waits for the answer. It ends as soon as the other end of the connection is closed.
"""

from __future__ import annotations

import gc
import os
import threading
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from kmagic.support.formatting import describe_error
from kmagic.support.memory import private_memory

if TYPE_CHECKING:
    from kmagic.tuning.trial_run import TrialSetup

READY = "ready"


def main(descriptor: int, setup_file: str, threads: int) -> None:
    """Work until the connection is closed.

    Args:
        descriptor: File descriptor of the connection.
        setup_file: A pickled TrialSetup.
        threads: Number of threads of TensorFlow.
    """
    connection = Connection(descriptor)
    inbox: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_receive, args=(connection, inbox), daemon=True).start()
    work(partial(_load_setup, setup_file), threads, inbox, connection.send)


def _receive(connection: Connection, inbox: SimpleQueue[Any]) -> None:
    """Pass on what arrives; end the process with the connection, whatever it is doing."""
    while True:
        try:
            inbox.put(connection.recv())
        except (EOFError, OSError):
            os._exit(1)


def work(
    load_setup: Callable[[], TrialSetup],
    threads: int,
    inbox: SimpleQueue[Any],
    send: Callable[[Any], None],
) -> None:
    """Train one trial after another.

    Args:
        load_setup: Returns what all trials have in common; called once Keras is imported.
        threads: Number of threads of TensorFlow.
        inbox: Tasks, and the answer to each report.
        send: Called with READY, or why it cannot start; with reports and outcomes.
    """
    try:
        setup = _prepare(load_setup, threads)
    except Exception as error:  # noqa: BLE001 - the study reports it
        traceback.print_exc()
        send(describe_error(error))
        return
    import keras  # noqa: PLC0415 - imported by now

    from kmagic.tuning.trial_run import EpochReport, run_trial  # noqa: PLC0415 - as above

    def report(epoch: EpochReport) -> Any:
        send(epoch)
        return inbox.get()

    send(READY)
    while True:
        outcome = run_trial(setup, inbox.get(), report)
        keras.backend.clear_session()
        gc.collect()
        send(replace(outcome, memory=private_memory()))


def _prepare(load_setup: Callable[[], TrialSetup], threads: int) -> TrialSetup:
    from kmagic.support.keras_import import load_keras_in_worker  # noqa: PLC0415 - takes seconds

    load_keras_in_worker(threads)
    from kmagic.models.global_settings import apply_settings  # noqa: PLC0415 - imports Keras

    setup = load_setup()
    apply_settings(setup.settings)
    return setup


def _load_setup(setup_file: str) -> TrialSetup:
    import cloudpickle  # noqa: PLC0415 - an extra

    from kmagic.tuning.shared_values import open_shared  # noqa: PLC0415 - imports Keras

    setup: TrialSetup = cloudpickle.loads(Path(setup_file).read_bytes())
    return replace(setup, data=open_shared(setup.data))
