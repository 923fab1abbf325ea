"""``kmagic.save`` and ``kmagic.load``: models as files, with their text and their preparation."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kmagic.support.errors import KmagicError, PersistenceError
from kmagic.support.model_registry import (
    dataset_for,
    is_untrained,
    mark_untrained,
    run_for,
    set_dataset,
)

if TYPE_CHECKING:
    from kmagic.persistence.formats import Form
    from kmagic.persistence.model_metadata import Baggage
    from kmagic.persistence.model_reading import Opened
    from kmagic.persistence.results import Loaded, Saved

MOST_LAYERS = 64
"""A model that was not built here gets a text beside its weights up to so many layers."""


class LoadWarning(UserWarning):
    """A model came out of its file otherwise than it went in."""


def save(
    model: Any,
    path: str | os.PathLike[str],
    *,
    force: bool = False,
    only: Form | None = None,
    name: str = "",
) -> Saved:
    """Save a model: the whole of it, its weights, its architecture or its text.

    The file is written whole or not at all. With the model go its text, the names of its classes
    and how its data were prepared, so that :func:`load` gives a model that takes raw data.

    Args:
        model: A Keras model.
        path: Where to; its end says what is written: ``.keras`` or ``.h5`` the whole model,
            ``.weights.h5`` the weights, ``.json`` the architecture, ``.kmagic`` the text. Folders
            are made.
        force: Replace a file that is there.
        only: "weights", "json" or "text": that alone; the path's end may be left out then.
        name: What the model is called, if not by its own name.

    Returns:
        What was written: ``path``, ``size``, ``parts``, ``notes``.

    Raises:
        PersistenceError: The file is there already, the disk refused, or the model cannot be
            written. Nothing is changed then.

    Example:
        >>> import keras, tempfile
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)], name="net")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     saved = save(model, f"{folder}/models/net.keras")
        ...     load(saved.path).name
        'net'
    """
    from kmagic.persistence.formats import target  # noqa: PLC0415 - not before a model is saved
    from kmagic.persistence.model_writing import write  # noqa: PLC0415 - as above

    if not hasattr(model, "save_weights"):
        raise PersistenceError(
            f"expected a Keras model to save, not {type(model).__name__}.",
            "kmagic.save(model, 'models/cnn.keras')",
        )
    place, kind = target(path, only)
    baggage = _pack(model, name or model.name, kind.form)
    return write(model, place, kind, baggage, force=force)


def load(
    path: str | os.PathLike[str],
    *,
    model: Any = None,
    safe_mode: bool = True,
    custom_objects: Mapping[str, Any] | None = None,
) -> Any:
    """Load a model, or weights into one.

    Args:
        path: The file; what it is is seen in it, whatever its name.
        model: A model that gets the file's weights; it keeps its own if they do not fit.
        safe_mode: Refuse Python code in the file. False only for a file that you made yourself.
        custom_objects: Classes and functions that are not Keras's, by name.

    Returns:
        The model. Where it was saved by kmagic, ``kmagic.support.model_registry.dataset_for(model)`` knows its class
        names and how its data were prepared, and its card shows its text.

    Raises:
        PersistenceError: There is no such file, it is broken off, no model, not to be trusted, or
            needs what is not here.

    Warns:
        LoadWarning: The model is otherwise than it was saved, and how.
    """
    loaded = open_model(path, into=model, safe_mode=safe_mode, custom_objects=custom_objects)
    for note in loaded.notes:
        warnings.warn(f"{loaded.name}: {note}", LoadWarning, stacklevel=2)
    return loaded.model


def open_model(
    path: str | os.PathLike[str],
    *,
    into: Any = None,
    safe_mode: bool = True,
    custom_objects: Mapping[str, Any] | None = None,
    notebook: Mapping[str, Any] | None = None,
) -> Loaded:
    """Load a model and all that came with it; as :func:`load`, which gives the model alone.

    Args:
        path: The file.
        into: A model that gets the file's weights.
        safe_mode: Refuse Python code in the file.
        custom_objects: Classes and functions that are not Keras's, by name.
        notebook: The notebook's names, for classes and functions that are missing else.

    Raises:
        PersistenceError: As :func:`load`.
    """
    from kmagic.models.build import origin_of  # noqa: PLC0415 - not before a model is loaded
    from kmagic.persistence.formats import as_path  # noqa: PLC0415 - as above
    from kmagic.persistence.layer_vocabularies import give_words  # noqa: PLC0415 - as above
    from kmagic.persistence.model_reading import Trust, open_file  # noqa: PLC0415 - as above
    from kmagic.persistence.results import Loaded  # noqa: PLC0415 - as above

    place = as_path(path)
    trust = Trust(safe_mode, custom_objects or {}, notebook or {})
    opened = open_file(place, trust, into=into)
    if opened.refused is not None:
        try:
            _make(opened, trust)
        except KmagicError:
            raise opened.refused from None
    elif opened.model is None:
        _make(opened, trust)
    model, baggage = opened.model, opened.baggage
    if opened.content == "json":
        mark_untrained(model)
    if into is None and origin_of(model) is None and baggage is not None:
        _adopt(model, baggage, trust)
    if baggage is not None and baggage.words:
        opened.notes += give_words(model, baggage.words)
    if baggage is not None and baggage.preparation:
        _remember(opened)
    size = place.stat().st_size if place.is_file() else 0
    return Loaded(
        model,
        (baggage.name if baggage is not None else "") or model.name,
        place,
        size,
        origin_of(model),
        baggage,
        tuple(opened.notes),
        opened.made_by or (baggage.versions.get("keras", "") if baggage is not None else ""),
        _parts(opened),
    )


# --- what goes in -----------------------------------------------------------------------------


def _pack(model: Any, name: str, form: Form) -> Baggage:
    from kmagic.models.build import serialize_steps  # noqa: PLC0415 - not before a model is saved
    from kmagic.persistence.layer_vocabularies import words_of  # noqa: PLC0415 - as above
    from kmagic.persistence.model_metadata import Baggage, thinned, today, versions  # noqa: PLC0415 - as above

    text, values = _text_of(model, must=form == "text")
    run, data = run_for(model), dataset_for(model)
    preparation = getattr(data, "preparation", None)
    return Baggage(
        name=name,
        text=text,
        values=values,
        steps=serialize_steps(model) if text else (),
        words=words_of(model) if form != "keras" else (),
        preparation=preparation.get_config() if preparation is not None else None,
        history=thinned(run.history) if run is not None else {},
        epochs=len(run.log) if run is not None else 0,
        saved=today(),
        versions=versions(),
    )


def _text_of(model: Any, *, must: bool) -> tuple[str, dict[str, str]]:
    """The model's own text and its values, compiled as it is today; else one written for it.

    Raises:
        DecompileError: No text says it, and there must be one.
    """
    from kmagic.models.build import origin_of  # noqa: PLC0415 - not before a model is saved
    from kmagic.models.decompile import to_dsl  # noqa: PLC0415 - as above

    built = origin_of(model)
    if built is not None and built.portable.text:
        return _compiled_today(model, built.portable.text), dict(built.portable.values)
    if not must and len(getattr(model, "layers", ())) > MOST_LAYERS:
        return "", {}
    try:
        return to_dsl(model), {}
    except KmagicError:
        if must:
            raise
    except (ValueError, AttributeError):  # not built yet; a model of a class of its own
        if must:
            raise
    return "", {}


def _compiled_today(model: Any, text: str) -> str:
    """A text with the ``compile`` line that the model has now; the rest stays as it is written."""
    from kmagic.language import format_spec, format_statement, parse  # noqa: PLC0415 - as above
    from kmagic.language.spec import CompileSpec, ModelSpec  # noqa: PLC0415 - as above
    from kmagic.models.decompile import compile_line  # noqa: PLC0415 - as above

    spec = parse(text)
    written = spec.compile
    try:
        today = compile_line(model)
    except KmagicError:  # a lambda; the text keeps the line that it has
        return text
    if today == written:
        return text
    if written is None and today is not None:
        return f"{text.rstrip()}\n{format_statement(today)}"
    lines = text.split("\n")
    at = written.span.line - 1 if written is not None else 0
    if today is not None and lines[at].startswith("compile") and " / " not in lines[at]:
        lines[at] = format_statement(today)
        return "\n".join(lines)
    kept = [each for each in spec.statements if not isinstance(each, CompileSpec)]
    return format_spec(ModelSpec((*kept, *([today] if today else []))))


# --- what comes out ---------------------------------------------------------------------------


def _make(opened: Opened, trust: Any) -> None:
    """Build the model of a text; or that of weights that brought their text along."""
    from kmagic.models.build import build_model  # noqa: PLC0415 - not before a model is loaded
    from kmagic.persistence.weights import load_weights  # noqa: PLC0415 - as above

    baggage = opened.baggage
    text = opened.text or (baggage.text if baggage is not None else "")
    if not text:
        raise PersistenceError(
            f"{opened.path.name} holds weights, and no model to put them into.",
            "Name the model: `%keras_load PATH MODEL`, or kmagic.load(path, model=model).",
        )
    names = _names_for(baggage, trust)
    name = baggage.name if baggage is not None else opened.path.name.partition(".")[0]
    name = name if name.isidentifier() else ""
    opened.model = build_model(
        text, names, where=opened.path.name, first_line=opened.first_line, name=name
    )
    if not opened.text:
        opened.notes += load_weights(opened.model, opened.path, opened.content)


def _names_for(baggage: Baggage | None, trust: Any) -> dict[str, Any]:
    """What a file's text may name: its own values, and what the notebook may lend."""
    from kmagic.persistence.safety import may_serve  # noqa: PLC0415 - not before a model is loaded

    lent = {
        name: value
        for name, value in trust.notebook.items()
        if not name.startswith("_") and (isinstance(value, _PLAIN) or may_serve(value))
    }
    try:
        own = baggage.portable.names() if baggage is not None else {}
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        own = {}
    return {**lent, **trust.given, **own}


_PLAIN = (bool, int, float, str, tuple)


def _adopt(model: Any, baggage: Baggage, trust: Any) -> None:
    from kmagic.models.build import restore_origin  # noqa: PLC0415 - not before a model is loaded

    if baggage.text and baggage.steps:
        names = _names_for(baggage, trust)
        restore_origin(model, baggage.text, names, baggage.steps, baggage.portable)


def _remember(opened: Opened) -> None:
    from kmagic.data.preparation.preparation import Preparation  # noqa: PLC0415 - not before a model is loaded

    held = opened.baggage.preparation if opened.baggage is not None else None
    if not held:
        return  # nobody knows them, and whoever asks is to look further
    try:
        set_dataset(opened.model, Preparation.from_config(dict(held)))
    except (KmagicError, KeyError, TypeError, ValueError, AttributeError) as error:
        opened.notes.append(f"how its data were prepared cannot be read: {error}")


def _parts(opened: Opened) -> tuple[str, ...]:
    from kmagic.persistence.weights import has_state  # noqa: PLC0415 - not before a model is loaded

    model, baggage = opened.model, opened.baggage
    if opened.content in ("json", "text"):
        new = not model.built or is_untrained(model)
        known = replace(baggage, history={}).describe() if baggage is not None else ()
        return (*(["new weights, never trained"] if new else []), *known)
    parts = ["weights", *(["optimizer"] if has_state(model) else [])]
    return (*parts, *(baggage.describe() if baggage is not None else ()))
