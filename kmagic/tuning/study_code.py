"""A search as a program of plain Keras and Optuna."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from textwrap import indent
from typing import Any

from kmagic.language import spec
from kmagic.language.formatter import format_spec
from kmagic.language.parser import parse, parse_partial
from kmagic.language.search_space import Hyperparameter, Place, SearchSpace, find_places
from kmagic.models.codegen import keras_program
from kmagic.models.codegen.program_state import Placeholder
from kmagic.models.codegen.source_layout import format_source
from kmagic.support.errors import DSLError, TrainingError
from kmagic.tuning.study import BATCH_SIZE, Study
from kmagic.tuning.study_store import IDENTITY, SAMPLER_OPTIONS, pruner_options

MAX_VARIANTS = 32
"""Different models that a program may contain, one for each choice between layers."""
_INDENT = "    "
_NAMES = ("trial", "model", "study", "keras", "layers", "optuna", "objective", "build_model")


def study_program(study: Study) -> str:
    """The program of a search: the same parameters, the same sampler and pruner, in one process.

    Raises:
        TrainingError: The search chooses between too many models, or a loop cannot be written.
    """
    writer = _Writer(study.space)
    try:
        body = "\n".join(writer.build())
    except DSLError as error:
        raise TrainingError(
            f"The search for {study.name} cannot be written: {error.problems[0].message}.",
            "For the program of its best model, name its variable.",
        ) from error
    identity = study.optuna_study.user_attrs[IDENTITY]
    imports = sorted(
        {"import keras", "import optuna", *writer.imports}, key=lambda line: (line[0] == "f", line)
    )
    notebook = sorted(writer.notebook - set(writer.variables.values()))
    comment = [f"# From the notebook: {', '.join(['x_train', 'y_train', *notebook])}"]
    pruning = pruner_options(identity["options"].get("epochs", 1))
    sampler, pruner = (
        ", ".join(f"{name}={value}" for name, value in options.items())
        for options in (SAMPLER_OPTIONS, pruning)
    )
    direction = "maximize" if study.is_maximized else "minimize"
    best = "max" if study.is_maximized else "min"
    best_values = []
    for trial in study.ranking[:1]:
        best_values = [f"# The best values, of trial {trial.number}:"]
        best_values += [f"# {key}: {value!r}" for key, value in study.used_values(trial).items()]
    lines = [
        *comment,
        *imports,
        "def build_model(trial):",
        indent(body, _INDENT),
        "    return model",
        "class ReportEpochs(keras.callbacks.Callback):",
        "    def __init__(self, trial):",
        "        super().__init__()",
        "        self.trial = trial",
        "    def on_epoch_end(self, epoch, logs=None):",
        f"        self.trial.report(logs[{study.goal!r}], epoch)",
        "        if self.trial.should_prune():",
        "            raise optuna.TrialPruned",
        "def objective(trial):",
        "    keras.utils.clear_session()",
        "    model = build_model(trial)",
        f"    history = model.fit({_fit_arguments(study, identity['options'])})",
        f"    return {best}(history.history[{study.goal!r}])",
        "study = optuna.create_study(",
        f"    direction={direction!r},",
        f"    sampler=optuna.samplers.TPESampler(seed={identity['seed']}, {sampler}),",
        f"    pruner=optuna.pruners.MedianPruner({pruner}),",
        ")",
        f"study.optimize(objective, n_trials={study.target})",
        "print(study.best_params)",
        *best_values,
    ]
    return format_source("\n".join(lines))


def _fit_arguments(study: Study, options: Mapping[str, Any]) -> str:
    """The arguments of ``model.fit``, with the options of the search."""
    size = next((p for p in study.parameters if p.name == BATCH_SIZE), None)
    arguments = ["x_train", "y_train"]
    given = {"epochs": options.get("epochs", 1), **options}
    callbacks = ["ReportEpochs(trial)"]
    for name, value in given.items():
        if name == "patience":
            callbacks.append(f"keras.callbacks.EarlyStopping(patience={value!r})")
        elif name == "reduce_lr":
            epochs = 5 if value is True else value
            callbacks.append(f"keras.callbacks.ReduceLROnPlateau(patience={epochs})")
        elif name in ("validation_data", "sample_weight"):
            text = "(x_val, y_val)" if name == "validation_data" else "sample_weight"
            arguments.append(f"{name}={text}")
        elif name not in ("callbacks", "seed", "name", "checks", "plain"):
            arguments.append(f"{name}={value!r}")
    if size is not None:
        arguments.append(f"batch_size={_suggestion(size)}")
    return ", ".join([*arguments, f"callbacks=[{', '.join(callbacks)}]", "verbose=0"])


class _Writer:
    """Writes the body of ``build_model``.

    Attributes:
        imports: Lines that the models need.
        notebook: Variables of the notebook that they use.
        variables: The variable of each parameter.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self.imports: set[str] = set()
        self.notebook: set[str] = set()
        self.variables: dict[str, str] = {}
        self._variants, self._is_compile_part = 0, False
        taken = {*_NAMES, *space.names}
        for parameter in space.parameters:
            place = space.places[parameter]
            name = re.sub(r"\W", "_", parameter.name)
            while name in taken:
                name += "_"
            if isinstance(place.part, spec.VarySpec):
                name = place.part.name  # braces use it
            taken.add(name)
            self.variables[parameter.name] = name

    def build(self) -> Iterator[str]:
        """The lines of the body."""
        parsed = parse_partial(self._space.text, ranges=True)
        everywhere = [p for p in self._space.parameters if not self._depends(p)]
        plain = [p for p in everywhere if not self._is_structural(p)]
        yield from (self._assignment(parameter) for parameter in plain)
        compiling = [p for p in self._space.parameters if self._is_compiling(p)]
        building = [p for p in self._space.parameters if p not in compiling]
        for part, others in ((building, compiling), (compiling, building)):
            self._is_compile_part, self._variants = part is compiling, 0
            if part is building or parsed.compile is not None:
                yield from self._choices(self._with_first(parsed, others), part, set(plain))

    def _with_first(
        self, parsed: spec.ModelSpec, parameters: Sequence[Hyperparameter]
    ) -> spec.ModelSpec:
        """The text with the first values of some parameters."""
        for parameter in parameters:
            place = self._space.places[parameter]
            parsed = _replaced(parsed, place, place.chosen(parameter.ends()[0]))
        return parsed

    def _is_compiling(self, parameter: Hyperparameter) -> bool:
        """Whether only the compile line has a parameter."""
        place = self._space.places[parameter]
        return isinstance((*place.around, place.part)[0], spec.CompileSpec)

    def _choices(
        self, parsed: spec.ModelSpec, left: Sequence[Hyperparameter], known: set[Hyperparameter]
    ) -> Iterator[str]:
        """The branches of the next choice between layers, or else the model."""
        present = [p for p in left if self._is_present(parsed, p)]
        chooser = next((p for p in present if self._is_structural(p)), None)
        if chooser is None:
            yield from self._model(parsed, known)
            return
        place, variable = self._space.places[chooser], self.variables[chooser.name]
        yield self._assignment(chooser)
        for index, choice in enumerate(chooser.choices):
            last = index == len(chooser.choices) - 1
            test = f"{variable} == {choice!r}:"
            yield "else:" if last else f"elif {test}" if index else f"if {test}"
            chosen = _replaced(parsed, place, place.chosen(choice))
            yield from (
                indent(line, _INDENT)
                for line in self._choices(chosen, [p for p in left if p is not chooser], known)
            )

    def _model(self, parsed: spec.ModelSpec, known: set[Hyperparameter]) -> Iterator[str]:
        """The model where all choices between layers are made."""
        self._variants += 1
        if self._variants > MAX_VARIANTS:
            raise TrainingError(
                f"The search chooses between more than {MAX_VARIANTS} models.",
                "For the program of its best model, name its variable.",
            )
        values: dict[str, Any] = {}
        for parameter in self._space.parameters:
            place, variable = self._space.places[parameter], self.variables[parameter.name]
            if not self._is_present(parsed, parameter) or self._is_structural(parameter):
                continue
            if parameter not in known:
                yield self._assignment(parameter)
            values[variable] = spec.plain_value(place.chosen(parameter.ends()[0]))
            if getattr(_owner(place), "times", None) is place.part:
                values[variable] = Placeholder()
            variable_value = spec.Expr(variable, span=place.part.span)
            parsed = _replaced(parsed, place, variable_value)
        text = format_spec(parsed)
        program = keras_program(parse(text), {**self._space.names, **values}, name="model")
        head, _, code = program.partition("\n\n")
        for line in head.split("\n"):
            if line.startswith("#"):
                self.notebook |= set(re.split(r"[:,]\s*", line)[1:])
            else:
                self.imports.add(line)
        build, *compile_code = re.split(r"^(?=model\.compile\()", code, flags=re.MULTILINE)
        yield from (compile_code[0] if self._is_compile_part else build).strip("\n").split("\n")

    def _assignment(self, parameter: Hyperparameter) -> str:
        variable, place = self.variables[parameter.name], self._space.places[parameter]
        code = _suggestion(parameter)
        if parameter.choices and not self._is_structural(parameter):
            values = [spec.plain_value(place.chosen(choice)) for choice in parameter.choices]
            if list(parameter.choices) != values:
                pairs = zip(parameter.choices, values, strict=True)
                table = ", ".join(f"{label!r}: {value!r}" for label, value in pairs)
                code = f"{{{table}}}[{code}]"
        return f"{variable} = {code}"

    def _is_structural(self, parameter: Hyperparameter) -> bool:
        """Whether a choice is one between layers or objects, not between values."""
        place = self._space.places[parameter]
        if not parameter.choices:
            return False
        if getattr(_owner(place), "callee", None) is place.part:
            return True
        plain = spec.LiteralValue | spec.Word | spec.Shape
        return not all(isinstance(place.chosen(choice), plain) for choice in parameter.choices)

    def _depends(self, parameter: Hyperparameter) -> bool:
        """Whether a parameter is part of a step or value that is itself chosen."""
        kinds = spec.AlternativesSpec | spec.Choice | spec.VarySpec
        return any(isinstance(part, kinds) for part in self._space.places[parameter].around)

    def _is_present(self, parsed: spec.ModelSpec, parameter: Hyperparameter) -> bool:
        part = self._space.places[parameter].part
        found = (place.part for place in find_places(parsed.statements))
        return any(other == part and other.span == part.span for other in found)


def _replaced(parsed: spec.ModelSpec, place: Place, value: Any) -> spec.ModelSpec:
    """A spec with a value in place of a range or choice; a ``vary`` line is left out."""
    if isinstance(place.part, spec.VarySpec):
        removed: spec.ModelSpec = spec.replace_part(parsed, place.part, ())
        if isinstance(value, spec.Expr):
            return removed
        for expr in spec.find_parts(removed, spec.Expr):
            if expr.source == place.part.name:
                removed = spec.replace_part(removed, expr, value)
        return removed
    new = (value,) if isinstance(value, spec.Statement) else value
    changed: spec.ModelSpec = spec.replace_part(parsed, place.part, new)
    return changed


def _owner(place: Place) -> Any:
    """The value or statement that directly contains a place."""
    return next((part for part in reversed(place.around) if not isinstance(part, spec.Arg)), None)


def _suggestion(parameter: Hyperparameter) -> str:
    """The call that suggests a value."""
    name = repr(parameter.name)
    if parameter.choices:
        return f"trial.suggest_categorical({name}, {list(parameter.choices)})"
    kind = "int" if isinstance(parameter.low, int) else "float"
    extra = f", step={parameter.step!r}" if parameter.step is not None else ""
    extra += ", log=True" if parameter.log else ""
    return f"trial.suggest_{kind}({name}, {parameter.low!r}, {parameter.high!r}{extra})"
