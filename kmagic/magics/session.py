"""What the magics of one notebook remember."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from kmagic.support.rendering import Renderable, display_result, mark_displayed, was_just_displayed


class Session:
    """One notebook's state.

    Everything the user works with lives in the notebook's own names; the session only remembers
    which model was the last one, and the runs.

    Args:
        shell: The InteractiveShell.

    Attributes:
        last_model: Name of the model that was made or used last, or "".
        runs: The training runs of this session, oldest first.
    """

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.last_model = ""
        self.runs: list[Any] = []

    @property
    def names(self) -> dict[str, Any]:
        """The notebook's names."""
        names: dict[str, Any] = self.shell.user_ns
        return names

    def bind(self, name: str, value: Any) -> None:
        """Give a value a name in the notebook."""
        self.names[name] = value

    def models(self) -> dict[str, Any]:
        """All models that the notebook has names for."""
        return {
            name: value
            for name, value in self.names.items()
            if not name.startswith("_") and is_model(value)
        }

    def current_model(self) -> tuple[str, Any] | None:
        """The model that was made or used last, if it is still there."""
        model = self.names.get(self.last_model)
        if is_model(model):
            return self.last_model, model
        known = list(self.models().items())
        return known[-1] if known else None

    def datasets(self) -> Iterator[Any]:
        """The data sets that the notebook has names for."""
        data = sys.modules.get("kmagic.data.dataset")
        if data is not None:
            for value in list(self.names.values()):
                if isinstance(value, data.Dataset):
                    yield value

    def show_models_at_end(self) -> None:
        """From now on a model at a cell's end is shown as its card, once a cell."""
        import keras  # noqa: PLC0415 - there is a model, so it is loaded

        formatter = self.shell.display_formatter.ipython_display_formatter
        formatter.for_type(keras.Model, self._show_at_end)

    def _show_at_end(self, model: Any) -> None:
        from IPython.display import display  # noqa: PLC0415 - not before there is a model

        from kmagic.display.model.model_card import model_bundle  # noqa: PLC0415 - as above
        from kmagic.models.build import origin_of  # noqa: PLC0415 - as above

        if not was_just_displayed(model):
            names = (name for name, value in self.models().items() if value is model)
            card = model_bundle(model, next(names, model.name), origin_of(model), ())
            display(card, raw=True)  # type: ignore[no-untyped-call]  # no types there

    def deliver(self, value: Any, *, out: str | None, quiet: bool) -> Any:
        """Show a magic's result, bind it, and hand it back without being shown twice."""
        if out:
            self.bind(out, value)
        if isinstance(value, Renderable):
            if not quiet:
                display_result(value)
            mark_displayed(value)
        return value


def is_model(value: Any) -> bool:
    """Whether a value is a Keras model; does not import Keras to find out."""
    keras = sys.modules.get("keras")
    model = getattr(keras, "Model", None)
    return model is not None and isinstance(value, model)
