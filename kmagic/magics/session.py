"""The state that the magics of one notebook share, and how their results are shown."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from kmagic.support.process_patches import show_models_with
from kmagic.support.rendering import Renderable, display_result, mark_displayed, was_just_displayed


class Session:
    """One notebook's state.

    The user's objects are the notebook's variables; the session only knows which model was used
    last, and the runs.

    Args:
        shell: The InteractiveShell.

    Attributes:
        last_model: Variable of the model that was built or used last, or "".
        runs: The training runs of this session, oldest first.
    """

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.last_model = ""
        self.runs: list[Any] = []

    @property
    def names(self) -> dict[str, Any]:
        """The notebook's variables."""
        names: dict[str, Any] = self.shell.user_ns
        return names

    def models(self) -> dict[str, Any]:
        """All models that are variables of the notebook."""
        return {
            name: value
            for name, value in self.names.items()
            if not name.startswith("_") and is_model(value)
        }

    def current_model(self) -> tuple[str, Any] | None:
        """The model that was built or used last, if it still exists, with its variable."""
        model = self.names.get(self.last_model)
        if is_model(model):
            return self.last_model, model
        return next(reversed(self.models().items()), None)

    def datasets(self) -> Iterator[Any]:
        """The data sets that are variables of the notebook."""
        module = sys.modules.get("kmagic.data.dataset")
        if module is not None:
            for value in list(self.names.values()):
                if isinstance(value, module.Dataset):
                    yield value

    def show_models_at_end(self) -> None:
        """Show a model at the end of a cell as its card from now on."""
        show_models_with(self.shell, self._show_model)

    def _show_model(self, model: Any) -> None:
        if not was_just_displayed(model):
            names = (name for name, value in self.models().items() if value is model)
            display_model(next(names, model.name), model)

    def deliver(self, value: Any, *, out: str | None, quiet: bool) -> Any:
        """Show a magic's result and assign it to a variable; return it marked as shown."""
        if out:
            self.names[out] = value
        if isinstance(value, Renderable):
            if not quiet:
                display_result(value)
            mark_displayed(value)
        return value


def display_model(name: str, model: Any, advice: tuple[str, ...] = ()) -> None:
    """Show a model's card in the running cell, with advice below."""
    from IPython.display import display  # noqa: PLC0415 - not before there is a model

    from kmagic.display.model.model_card import model_bundle  # noqa: PLC0415 - as above
    from kmagic.models.build import origin_of  # noqa: PLC0415 - as above

    display(model_bundle(model, name, origin_of(model), advice), raw=True)  # type: ignore[no-untyped-call]  # no types there


def is_model(value: Any) -> bool:
    """Whether a value is a Keras model; does not import Keras to find out."""
    keras = sys.modules.get("keras")
    model = getattr(keras, "Model", None)
    return model is not None and isinstance(value, model)
