"""Everything that kmagic changes for the whole process, in one place.

================================  ==========================================  ===================
What                              Why                                         Undone
================================  ==========================================  ===================
filter of TensorFlow's logger     Keras traces one graph per model on         never
                                  purpose; TensorFlow warns about retracing
``TF_CPP_MIN_LOG_LEVEL=3``        no warning about a missing GPU; a value     never
                                  that the user has set is kept
file descriptor 2                 TensorFlow's and Ray's C++ libraries write  after the start
                                  messages that no log level stops
level of the absl logger          Keras warns that HDF5 is a legacy format,   after the file is
                                  which the user has chosen                   written
level of matplotlib's logger of   Keras imports matplotlib, which reports     after the import
fonts                             that it builds its cache once
Keras's counters of layer names,  creating layers to compare configurations   after the
state of ``random``               must not change later names and weights     comparison
``Variable._validate_shape``      a model that does not fit into memory is    once the model is
of Keras, its list of variables   rejected before its weights are created     built
without a value
Keras's dtype policy, float type  a text or program of a model must not       after writing
and image data format             depend on them
filter of warnings                kmagic has already reported a softmax over  never
                                  one value; Keras repeats it in each epoch
Ray's printer of the messages     a node that is lost prints pages of Ray's   never
of its nodes                      internal state into the running cell
memory growth of TensorFlow's     the notebook would take all memory of the   never
GPUs                              GPUs, and none be left to its workers
default timeout of sockets        Keras downloads without a time limit        after the download
``sys.stdout``                    Keras prints the progress of a download;    after the download
                                  it becomes a progress bar
``warnings.showwarning``          a magic prints its own warnings as          at the end of the
                                  sentences                                   magic
class of IPython's display hook   a terminal shows an empty ``Out[3]:``       ``%unload_ext``
                                  after a magic has shown its result
IPython's formatters              a model at the end of a cell is shown as    never
                                  its card, a figure as an image
importlib's ``_find_and_load``,   other threads wait while Keras is imported  after the import
``_lock_unlock_module``           in the background
handler of SIGINT                 an interrupt while Keras creates weights    after the first batch
                                  leaves a model that cannot be trained
IPython's options of the prompt   a terminal colours the text of a model      ``%unload_ext``
inspector of the kernel           Shift+Tab shows the help on a word of a     ``%unload_ext``
                                  model's text
control handlers of the kernel    Stop reaches the kernel while a cell runs   never
receiver of the shell channel     a reloaded page gets the state of the       never
                                  widgets while a cell runs
================================  ==========================================  ===================

The functions of importlib are replaced by :mod:`kmagic.support.background_import`, the receiver of
the shell channel by :mod:`kmagic.support.busy_kernel`.

The train and test functions that the fast pipeline sets belong to one model, not to the process
(:mod:`kmagic.training.pipeline.executions`).
"""

from __future__ import annotations

import logging
import os
import random
import re
import signal
import socket
import sys
import tempfile
import threading
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any, Self

from kmagic.support.rendering import running_shell, was_just_displayed

HOOK_NAME = "KmagicDisplayHook"
_START_UP_MESSAGE = re.compile(
    rb"All log messages before absl::InitializeLog|^[IWE]\d{4} |^\d{4}-\d\d-\d\d .*: [IWE] |"
    rb"^\[\d{4}-\d\d-\d\d .*\.cc:\d+: |"
    rb"TF_ENABLE_ONEDNN_OPTS|To enable the following instructions|rebuild TensorFlow"
)


# --- TensorFlow's messages ------------------------------------------------------------------------


def drop_retracing_warning() -> None:
    """Drop TensorFlow's warning that one function is traced several times."""
    logging.getLogger("tensorflow").addFilter(_is_useful)


def _is_useful(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return "retracing" not in message or "TensorFlowTrainer.make_" not in message


@contextmanager
def quiet_start() -> Iterator[None]:
    """Collect what is written to standard error, then pass on all but start-up messages."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        stderr = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    with tempfile.TemporaryFile() as buffer:
        os.dup2(buffer.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            buffer.seek(0)
            for line in buffer:
                if not _START_UP_MESSAGE.search(line):
                    os.write(stderr, line)
            os.close(stderr)


@contextmanager
def quiet_logger(name: str) -> Iterator[None]:
    """Silence the warnings of a logger."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


# --- Keras's global state -------------------------------------------------------------------------


def layer_counts() -> dict[str, int]:
    """Keras's counters of layer names: the live object."""
    from keras.src.backend.common import global_state  # noqa: PLC0415 - Keras is loaded by now

    counts: dict[str, int] = global_state.get_global_attribute(
        "object_name_uids", defaultdict(int), True
    )
    return counts


@contextmanager
def isolated_keras(counts: Mapping[str, int] | None = None) -> Iterator[None]:
    """Restore Keras's counters of layer names and Python's random state afterwards.

    Args:
        counts: Counters to use meanwhile: the `layer_counts` of another process.
    """
    counters = layer_counts()
    before, random_state = dict(counters), random.getstate()
    counters.update(counts or {})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(random_state)
        counters.clear()
        counters.update(before)


@contextmanager
def checked_weights(check: Callable[[Any, Any], None]) -> Iterator[None]:
    """Call a function with the shape and dtype of each variable before Keras creates its value."""
    from keras.src.backend import Variable  # noqa: PLC0415 - Keras is loaded by now

    original = Variable._validate_shape  # noqa: SLF001 - documented above

    def validate_shape(self: Any, shape: Any) -> Any:
        valid = original(self, shape)
        check(valid, self._dtype)
        return valid

    Variable._validate_shape = validate_shape  # noqa: SLF001 - as above
    try:
        yield
    finally:
        Variable._validate_shape = original  # noqa: SLF001 - as above


@contextmanager
def weights_without_values() -> Iterator[None]:
    """Let Keras create layers and models without the values of their weights."""
    import keras  # noqa: PLC0415 - Keras is loaded by now
    from keras.src.backend.common import global_state  # noqa: PLC0415 - as above

    name = "uninitialized_variables"
    waiting = global_state.get_global_attribute(name)
    global_state.set_global_attribute(name, [])
    try:
        with isolated_keras(), keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        global_state.set_global_attribute(name, waiting)


@contextmanager
def default_settings() -> Iterator[None]:
    """Let Keras use its own dtype policy, float type and image data format."""
    import keras  # noqa: PLC0415 - Keras is loaded by now
    from keras.src.backend.common import global_state  # noqa: PLC0415 - as above

    policy = global_state.get_global_attribute("dtype_policy")
    floatx, data_format = keras.config.floatx(), keras.config.image_data_format()
    try:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
        keras.config.set_image_data_format("channels_last")
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_image_data_format(data_format)
        global_state.set_global_attribute("dtype_policy", policy)


def ignore_softmax_warning() -> None:
    """Ignore Keras's warning about a softmax over one value, which it repeats in each epoch."""
    message = r"You are using a softmax over axis -1 of a tensor of shape \(\w+, 1\)"
    warnings.filterwarnings("ignore", message=message, category=UserWarning)


def silence_ray_nodes() -> None:
    """Keep Ray from printing what its nodes report; kmagic reports what concerns its work."""
    worker: Any = sys.modules.get("ray._private.worker")
    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *_, **__: None


def let_gpu_memory_grow() -> None:
    """Take memory of the GPUs as it is needed, unless they are in use already."""
    import tensorflow as tf  # noqa: PLC0415 - Keras is loaded by now

    for device in tf.config.list_physical_devices("GPU"):
        with suppress(RuntimeError):
            tf.config.experimental.set_memory_growth(device, enable=True)


# --- downloads ------------------------------------------------------------------------------------


@contextmanager
def socket_timeout(seconds: float) -> Iterator[None]:
    """Abort a transfer that stalls for so many seconds."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


# --- IPython --------------------------------------------------------------------------------------


@contextmanager
def warnings_as_text(category: type[Warning], *, show: bool) -> Iterator[None]:
    """Print warnings of a category as sentences, or drop them; others are shown as usual."""
    show_as_usual = warnings.showwarning

    def show_warning(message: Any, kind: type[Warning], *rest: Any, **options: Any) -> None:
        if not issubclass(kind, category):
            show_as_usual(message, kind, *rest, **options)
        elif show:
            print(message)  # noqa: T201 - a sentence for the reader

    with warnings.catch_warnings():
        warnings.simplefilter("always", category)
        warnings.showwarning = show_warning  # type: ignore[assignment]  # passes all arguments on
        yield


def install_display_hook(shell: Any) -> None:
    """Omit the empty ``Out[3]:`` of a terminal after a magic has shown its result.

    A notebook omits an output that has nothing to show. A terminal writes the prompt before it
    asks the result, so its display hook has to know. ``_`` and ``Out[3]`` are set all the same.
    """
    hook = shell.displayhook
    if getattr(shell, "kernel", None) is not None or type(hook).__name__ == HOOK_NAME:
        return
    original: type[Any] = type(hook)

    def displayhook(self: Any, result: Any = None) -> None:
        if result is None or self.quiet() or not was_just_displayed(result):
            original.__call__(self, result)
            return
        self.check_for_underscore()
        self.update_user_ns(result)
        self.fill_exec_result(result)

    # The object stays the same, so references to it, and its own state, remain valid.
    hook.__class__ = type(HOOK_NAME, (original,), {"__call__": displayhook})


def remove_display_hook(shell: Any) -> None:
    """Give a shell its own display hook back."""
    hook = shell.displayhook
    if type(hook).__name__ == HOOK_NAME:
        hook.__class__ = type(hook).__bases__[0]


def install_inspector(kernel: Any, inspect: Callable[[str, int], dict[str, str] | None]) -> None:
    """Let a function answer the editor's inspector (Shift+Tab) where it knows more than Python.

    Args:
        kernel: The kernel.
        inspect: From the code and the cursor to a MIME bundle; None if Python must answer.
    """
    original = kernel.do_inspect

    def do_inspect(code: str, cursor_pos: int, *args: Any, **kwargs: Any) -> Any:
        bundle = inspect(code, cursor_pos)
        if bundle is None:
            return original(code, cursor_pos, *args, **kwargs)
        return {"status": "ok", "found": bool(bundle), "data": bundle, "metadata": {}}

    kernel.do_inspect = do_inspect


def remove_inspector(kernel: Any) -> None:
    """Give a kernel its own inspector back."""
    vars(kernel).pop("do_inspect", None)


def colour_cells(shell: Any, magics: Iterable[str], lexer: Any) -> None:
    """Colour the cells of magics while they are typed in a terminal, with a lexer of Pygments."""
    from prompt_toolkit.lexers import PygmentsLexer  # noqa: PLC0415 - only in a terminal

    original = shell._extra_prompt_options  # noqa: SLF001 - documented above

    def options() -> dict[str, Any]:
        found: dict[str, Any] = original()
        lexers = getattr(found.get("lexer"), "magic_lexers", None)
        if lexers is not None:
            lexers.update(dict.fromkeys(magics, PygmentsLexer(lexer)))
        return found

    shell._extra_prompt_options = options  # noqa: SLF001 - as above


def restore_cells(shell: Any) -> None:
    """Colour cells as IPython does."""
    vars(shell).pop("_extra_prompt_options", None)


def show_models_with(shell: Any, show: Callable[[Any], None]) -> None:
    """Show a model at the end of a cell by calling ``show``."""
    import keras  # noqa: PLC0415 - there is a model, so Keras is loaded

    shell.display_formatter.ipython_display_formatter.for_type(keras.Model, show)


def enable_figure_display() -> None:
    """Let the running notebook show matplotlib figures that were made without pyplot.

    IPython registers its figure formatters when pyplot is imported; until then it shows only the
    figure's ``repr``.
    """
    shell = running_shell()
    if shell is None:
        return
    from IPython.core.pylabtools import print_figure  # noqa: PLC0415 - not needed elsewhere
    from matplotlib.figure import Figure  # noqa: PLC0415 - takes half a second

    formatters = shell.display_formatter.formatters
    if not any(Figure in formatter for formatter in formatters.values()):
        formatters["image/png"].for_type(Figure, partial(print_figure, base64=True))


# --- interrupts and messages during training ------------------------------------------------------


class InterruptGuard:
    """Defers an interrupt until :meth:`release`.

    Until its first batch is trained Keras creates weights, optimizer variables and the graph; an
    interrupt in between leaves a model that can never be trained again. A second interrupt is not
    deferred: the user has waited long enough.

    Outside the main thread, the only one that gets interrupts, it does nothing.
    """

    def __init__(self) -> None:
        self._handler: signal._HANDLER = None
        self._active = False
        self._pending = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._handler = signal.getsignal(signal.SIGINT)
            if callable(self._handler):
                self._active = True
                signal.signal(signal.SIGINT, self._on_interrupt)
        return self

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._active and not self._pending:
            self._pending = True
        elif callable(self._handler):
            self._handler(number, frame)

    def release(self) -> None:
        """The model is complete: raise a deferred interrupt, and defer no more."""
        if self._active:
            self._active = False
            signal.signal(signal.SIGINT, self._handler)
            if self._pending:
                raise KeyboardInterrupt

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.release()
        elif self._active:
            signal.signal(signal.SIGINT, self._handler)


def handle_control_message(
    kernel: Any, message_type: str, answer: Callable[..., dict[str, Any]]
) -> bool:
    """Answer a type of message on the control channel, which is served while a cell runs.

    ``answer`` gets the content of the message as keyword arguments and returns the reply. The
    result is False if the kernel has no control handlers.
    """
    handlers = getattr(kernel, "control_handlers", None)
    if not isinstance(handlers, dict):
        return False

    def handle(stream: Any, ident: Any, message: Any) -> None:
        reply = {"status": "ok", **answer(**message.get("content", {}))}
        kernel.session.send(stream, f"{message_type}_reply", reply, message, ident=ident)

    handlers[message_type] = handle
    return True
