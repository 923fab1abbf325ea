"""The results of a model with several outputs: one for each output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

from kmagic.data.inspection import stream_kind
from kmagic.evaluation.prediction.model_outputs import (
    check_targets,
    has_several_outputs,
    output_kind,
    output_names,
    select_output,
    title_of,
)
from kmagic.support.errors import EvaluationError
from kmagic.support.formatting import list_names
from kmagic.support.messages import Option, Text
from kmagic.support.rendering import Renderable

PER_OUTPUT = ("class_names", "threshold", "target_names")
"""Options that say something about one output."""
NamedModels: TypeAlias = Sequence[tuple[str, Any]]


class OutputResults(Renderable, dict[str, Any]):
    """The result for each output of a model: a dict by the names of the outputs, shown as one card.

    Args:
        results: The results: confusion matrices, errors, or comparisons of two models.
        name: Name of the model.
        note: What the reader should know, e.g. which outputs are left out.
    """

    renderer: ClassVar[str] = "kmagic.display.prediction.outputs_card:outputs_bundle"

    def __init__(self, results: Mapping[str, Any], *, name: str = "", note: str = "") -> None:
        super().__init__(results)
        self.name = name
        self.note = note

    def __repr__(self) -> str:
        return self._bundle()["text/plain"]

    def versus(self, other: Mapping[str, Any]) -> OutputResults:
        """Compare each output with that of another model, on the same samples.

        Raises:
            EvaluationError: The models have no output in common that can be compared.
        """
        both = [name for name in self if name in other and hasattr(self[name], "versus")]
        if not both:
            raise EvaluationError("These results have no output in common that can be compared.")
        left_out = [name for name in self if name not in both]
        note = f"Not compared: {list_names(left_out)}." if left_out else ""
        compared = {name: self[name].versus(other[name]) for name in both}
        return OutputResults(compared, name=self.name, note=note)


def models_of_output(models: NamedModels, output: str) -> list[tuple[str, Any]]:
    """One output of each model, with its title; another model with one output as it is."""
    (name, first), *others = models
    chosen = [(title_of(name or str(first.name), output), select_output(first, output))]
    for name, model in others:
        is_several = has_several_outputs(model)
        title = title_of(name or str(model.name), output) if is_several else name
        chosen.append((title, select_output(model, output) if is_several else model))
    return chosen


def results_of_outputs(
    functions: Mapping[str, Callable[..., list[Any]]],
    models: NamedModels,
    x: Any,
    y: Any,
    **options: Any,
) -> list[OutputResults]:
    """The results of each model, for all of its outputs.

    Args:
        functions: A function for each kind of output; the outputs of other kinds are left out.
        models: The models, each with its name.
        x: The samples, as for :func:`kmagic.predict`.
        y: The targets of all outputs.
        **options: Further arguments of the functions.

    Raises:
        EvaluationError: The samples can be read once only, the targets are those of one output, or
            no function takes the outputs.
    """
    first, names = models[0][1], output_names(models[0][1])
    if stream_kind(x) == "generator":
        raise EvaluationError(
            f"A generator can be read once only, not for each of {len(names)} outputs.",
            Text("Choose one: ", Option("output", names[0]), "."),
        )
    if not all(has_several_outputs(model) for _, model in models):
        select_output(first, None)  # which is refused
    check_targets(first, y)
    results: list[dict[str, Any]] = [{} for _ in models]
    for name in names:
        function = functions.get(output_kind(first, name, x))
        if function is not None and all(name in output_names(model) for _, model in models):
            own = {key: option_of_output(key, value, name, names) for key, value in options.items()}
            parts = function(models, x, y, output=name, **own)
            for each, part in zip(results, parts, strict=True):
                each[name] = part
    titles = [name or str(model.name) for name, model in models]
    return [named_results(each, names, title) for each, title in zip(results, titles, strict=True)]


def option_of_output(option: str, value: Any, output: str, outputs: Iterable[str]) -> Any:
    """What an option says about one of several outputs.

    Raises:
        EvaluationError: It does not say for which output.
    """
    is_by_output = isinstance(value, Mapping) and set(value) <= set(outputs)
    if is_by_output:
        return value.get(output)
    if value is None or option not in PER_OUTPUT:
        return value
    raise EvaluationError(
        Text(Option(option), " must say for which output."),
        Text("Choose one: ", Option("output", output), f"; or pass a dict: {{{output!r}: ...}}."),
    )


def named_results(results: dict[str, Any], outputs: Iterable[str], name: str) -> OutputResults:
    """The results of a model, with a note on the outputs that are left out."""
    left_out = [output for output in outputs if output not in results]
    if not results:
        raise EvaluationError(
            f"{name} has no output of this kind: {list_names(left_out)}.",
            "For classes use a confusion matrix, for values their errors.",
        )
    note = f"Left out, because they predict something else: {list_names(left_out)}."
    return OutputResults(results, name=name, note=note if left_out else "")
