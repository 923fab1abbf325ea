"""Layers, parts of their configs, and how a model is compiled, as words and values of the language.

Comparing arguments with defaults is not enough, since a default may depend on another argument: the
object is made again from the arguments that would be written, and the two configs are compared.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import keras
import numpy as np

from kmagic.language import spec
from kmagic.language.graph_statements import unused_name
from kmagic.language.spec import Arg, Expr, LiteralValue, Object, SequenceValue, Value, Word
from kmagic.models import catalogue
from kmagic.models.binding.argument_binding import cannot_be_boolean
from kmagic.models.catalogue import OBJECT_ROLES, Parameter, Role
from kmagic.models.decompile.config_values import (
    IGNORED,
    UnwritableError,
    comparable_settings,
    is_default_name,
    is_serialized,
    own_name,
    python_number,
    shorter,
    text_value,
    written_arguments,
)
from kmagic.models.decompile.plan import PlanStep
from kmagic.models.keras_history import is_input_layer, is_model, sublayers, with_items
from kmagic.models.one_cycle import cycle_of
from kmagic.support.formatting import safe_repr

MAX_ARRAY_SIZE = 10_000
"""Larger arrays are not written into a text."""
LOST_ARGUMENTS = "lost_arguments"
"""Key that adds to a serialized object the arguments that its own config leaves out."""
_LAMBDA = "it contains a lambda; use a named function instead"
_METRIC_LISTS = frozenset({"metrics", "weighted_metrics"})


class LayerWriter:
    """Writes layers, parts of their configs, and compile lines.

    Attributes:
        needed: The classes and functions that the text takes from the notebook, by name.
        known: The model's own classes and functions, by name: Keras's configs give only names.
        model_names: What the text calls each nested model, by its Keras name.
    """

    def __init__(self) -> None:
        self.needed: dict[str, Any] = {}
        self.known: dict[str, Any] = {}
        self.model_names: dict[str, str] = {}
        self._required: dict[str, dict[str, Any]] = {}

    def value(self, value: Any, role: Role = "any") -> Value:
        """The value for a part of a config.

        Raises:
            UnwritableError: No text can express it.
        """
        value = python_number(value)
        if value is None or value is ... or isinstance(value, bool | int | float):
            return LiteralValue(value)
        if isinstance(value, str):
            return text_value(value, role)
        if isinstance(value, slice):
            return self._slice(value.start, value.stop, value.step)
        if isinstance(value, list | tuple):
            return self._sequence(value, role)
        if is_serialized(value):
            return self._object(value, role)
        if isinstance(value, Mapping):
            if role == "activation":
                raise UnwritableError(_LAMBDA)
            entries = ((self._key(key), self.value(item, role)) for key, item in value.items())
            return spec.MappingValue(tuple(entries))
        if hasattr(value, "__array__") and hasattr(value, "dtype") and hasattr(value, "shape"):
            return self._array(value, word="array" if isinstance(value, np.ndarray) else "tensor")
        if inspect.isfunction(value) or inspect.isclass(value) or inspect.isbuiltin(value):
            return self._notebook_name(value)
        if hasattr(value, "get_config"):
            return self._object(keras.saving.serialize_keras_object(value), role)
        raise UnwritableError(
            f"{safe_repr(value)} ({type(value).__name__}) cannot be written in a text"
        )

    def _key(self, key: Any) -> Value:
        if isinstance(key, str | int | float | None):
            return self.value(key)
        raise UnwritableError(f"the dictionary key {key!r} cannot be written in a text")

    def _sequence(self, value: list[Any] | tuple[Any, ...], role: Role) -> Value:
        are_sizes = all(size is None or (type(size) is int and size > 0) for size in value)
        if isinstance(value, tuple) and len(value) > 1 and are_sizes:
            return spec.Shape(value)
        items = tuple(
            LiteralValue(item)
            if isinstance(item, str) and role == "any"
            else self.value(item, role)
            for item in value
        )
        return SequenceValue("list" if isinstance(value, list) else "tuple", items)

    def _slice(self, *bounds: Any) -> Object:
        given = [python_number(bound) for bound in bounds]
        while given and given[-1] is None:
            given.pop()
        return Object(Word("slice"), tuple(Arg(self.value(bound)) for bound in given))

    def _array(self, value: Any, dtype: str = "", word: str = "array") -> Value:
        array = np.asarray(value, dtype or None)
        if array.size > MAX_ARRAY_SIZE:
            raise UnwritableError(
                f"it has an array of {array.size:,} numbers, too long for a text"
                f" (at most {MAX_ARRAY_SIZE:,})"
            )
        args = [
            Arg(self._sequence(array.tolist(), "any") if array.ndim else LiteralValue(array.item()))
        ]
        default = str(np.asarray(array.tolist()).dtype)
        if word == "tensor":
            default = {"float64": "float32", "int64": "int32"}.get(default, default)
        if str(array.dtype) != default:
            args.append(Arg(text_value(str(array.dtype), "any")))
        return Object(Word(word), tuple(args))

    def _notebook_name(self, value: Any) -> Expr:
        name = getattr(value, "__name__", "")
        if name == "<lambda>":
            raise UnwritableError(_LAMBDA)
        if not name.isidentifier():
            raise UnwritableError(f"{name} is not a valid Python name")
        others = {known for known, other in self.needed.items() if other is not value}
        name = unused_name(name, others)
        self.needed[name] = value
        return Expr(name)

    def callee(self, value: Any, role: Role) -> Word | Expr:
        """How a class or function is called: by its word, or by its name in the notebook."""
        word = catalogue.word_for(value)
        if (value.__module__ or "").split(".")[0] == "keras":
            roles = (role, *OBJECT_ROLES) if role in OBJECT_ROLES else OBJECT_ROLES
            matches = [
                match for match in (catalogue.find_object(other, word) for other in roles) if match
            ]
            classes = [match for match in matches if inspect.isclass(match)]
            if (classes or matches)[:1] == [value]:
                return Word(word)
        name = value.__name__
        expr = self._notebook_name(value)
        is_ambiguous = any(catalogue.find_object(other, name) for other in OBJECT_ROLES)
        return (
            Word(name) if expr.source == name and not name.islower() and not is_ambiguous else expr
        )

    def _object(self, config: Mapping[str, Any], role: Role) -> Value:
        """The value for a serialized object: ``l2(1e-4)``, ``mixed_float16``, ``lstm 4``."""
        kind, inner = config["class_name"], config["config"]
        match kind:
            case "DTypePolicy":
                name = str(inner["name"])
                policy = Object(Word("dtype_policy"), (Arg(LiteralValue(name)),))
                return text_value(name, "dtype") if role == "dtype" else policy
            case "CosineDecay" if cycle := cycle_of(inner):
                rate, steps = map(LiteralValue, cycle)
                return Object(Word("one_cycle"), (Arg(rate), Arg(steps, "steps")))
            case "OneCycle" if config.get("registered_name") == "kmagic>OneCycle":
                return Object(Word("one_cycle"), (Arg(LiteralValue(inner["learning_rate"])),))
            case "__numpy__":
                return self._array(inner["value"], inner["dtype"])
            case "__tensor__":
                return self._array(inner["value"], inner["dtype"], "tensor")
            case "__slice__":
                return self._slice(inner["start"], inner["stop"], inner["step"])
            case "__ellipsis__":
                return LiteralValue(...)
            case "__lambda__":
                raise UnwritableError(_LAMBDA)
            case "Functional" | "Sequential" if inner.get("name") in self.model_names:
                return spec.Ref(self.model_names[inner["name"]])
        if kind.startswith("__"):
            raise UnwritableError(f"values of type {kind} cannot be written in a text")
        value = self._resolve(config)
        if kind == "function" or not inspect.isclass(value):
            word = getattr(value, "__name__", "")
            if (
                catalogue.accepts_string(role, word)
                and catalogue.keras_module(role).get(word) is value
            ):
                return Word(word)
            return self._notebook_name(value)
        return self._instance(value, inner or {}, role, config.get(LOST_ARGUMENTS, {}))

    def _instance(
        self, cls: Any, config: Mapping[str, Any], role: Role, lost: Mapping[str, Any]
    ) -> Value:
        params = {param.name: param for param in catalogue.parameters(cls)}
        required = self.required_arguments(cls, config)
        args = list(written_arguments(cls, self.parameter_values(cls, required)))
        name = config.get("name")
        if (
            role in ("layer", "loss", "metric")
            and isinstance(name, str)
            and "name" in params
            and name != params["name"].default
            and not is_default_name(name, cls.__name__)
        ):
            args.append(Arg(text_value(name, "any"), "name"))
        args += [
            Arg(self.value(value, params[name].role), name)
            for name, value in lost.items()
            if name in params and name not in config and params[name].default != value
        ]
        callee = self.callee(cls, role)
        if role == "layer":
            return _layer_value(callee, tuple(args))
        if not args and isinstance(callee, Word) and role in OBJECT_ROLES:
            return callee if catalogue.find_object(role, callee.text) is cls else Object(callee)
        return Object(callee, tuple(args))

    def _resolve(self, config: Mapping[str, Any]) -> Any:
        kind = config["class_name"]
        name = config["config"] if kind == "function" else kind
        for known in filter(None, (config.get("registered_name"), name)):
            value = keras.saving.get_registered_object(known)
            if value is not None:
                return value
        module = config.get("module")
        if module and module != "builtins":
            try:
                value = getattr(importlib.import_module(module), str(name).split(">")[-1], None)
            except ImportError:
                value = None
            if value is not None:
                return value
        if str(name) in self.known:
            return self.known[str(name)]
        raise UnwritableError(
            f"{name} cannot be found; register it with keras.saving.register_keras_serializable"
        )

    # --- arguments --------------------------------------------------------------------------------

    def parameter_values(self, cls: Any, given: Mapping[str, Any]) -> dict[str, Value]:
        """The values of given parameters, in the order of the signature."""
        return {
            param.name: self.parameter_value(param, given[param.name])
            for param in catalogue.parameters(cls)
            if param.name in given
        }

    def parameter_value(self, param: Parameter, value: Any) -> Value:
        """The value of one parameter."""
        if param.role == "dtype" and param.name != "dtype" and not isinstance(value, str):
            return self.value(value)
        if param.is_flag and isinstance(value, int | float):
            value = bool(value)  # Keras accepts return_sequences=1
        elif isinstance(value, bool) and (param.required or type(param.default) in (int, float)):
            raise UnwritableError(f"{param.name} must not be true or false; got {value}")
        written = self.value(value, param.role)
        if param.is_flag and cannot_be_boolean(written):
            raise UnwritableError(f"{param.name} must be true or false; got {safe_repr(value)}")
        if param.role == "shape" and isinstance(written, SequenceValue) and len(written.items) == 1:
            return (
                spec.Shape((None,)) if written.items[0] == LiteralValue(None) else written.items[0]
            )
        return written

    def required_arguments(self, cls: Any, config: Mapping[str, Any]) -> dict[str, Any]:
        """The part of a config that must be written, by parameter.

        Raises:
            UnwritableError: An object made from the whole config has another config.
        """
        key = _cache_key(cls, config)
        if not key:
            return self._find_required(cls, config)
        if key not in self._required:
            self._required[key] = self._find_required(cls, config)
        return self._required[key]

    def _find_required(self, cls: Any, config: Mapping[str, Any]) -> dict[str, Any]:
        params = {param.name: param for param in catalogue.parameters(cls)}
        given = {
            name: value
            for name, value in _as_given(cls, config).items()
            if name in params and name != "name"
        }
        target = comparable_settings(config)

        def remade_config(kwargs: Mapping[str, Any]) -> dict[str, Any] | None:
            for as_words in (False, True):
                remade = self.remake(cls, kwargs, config.get("name") or "", as_words=as_words)
                with suppress(NotImplementedError):  # some configs hold nothing but strings
                    return None if remade is None else comparable_settings(remade.get_config())
            return None

        def restores(kwargs: Mapping[str, Any]) -> bool:
            return remade_config(kwargs) == target

        if not restores(given):
            short = {name: shorter(name, value) for name, value in given.items()}
            if not restores(short):
                for name, value in given.items():
                    self.parameter_value(params[name], value)  # raises the more precise reason
                remade = remade_config(given)
                if remade is None:
                    raise UnwritableError("it cannot be made again from its own config")
                keys = " and ".join(sorted(_wrong_keys(remade, target)))
                raise UnwritableError(f"its {keys} cannot be set when it is created")
            given = short
        chosen = {name: value for name, value in given.items() if params[name].required}
        for _ in range(4):  # an argument may change the default of another
            remade = remade_config(chosen)
            wrong = set(given) if remade is None else _wrong_keys(remade, target) & given.keys()
            if wrong <= chosen.keys():
                break
            chosen |= {name: given[name] for name in wrong}
        if not restores(chosen):
            chosen = given
        for name in reversed(params):
            fewer = {other: value for other, value in chosen.items() if other != name}
            if name in chosen and not params[name].required and restores(fewer):
                chosen = fewer
        chosen = {name: chosen[name] for name in params if name in chosen}
        for name, value in chosen.items():
            short = {**chosen, name: shorter(name, value)}
            if short[name] is not value and restores(short):
                chosen = short
        return chosen

    def remake(
        self, cls: Any, given: Mapping[str, Any], name: str, *, as_words: bool = False
    ) -> Any:
        """Make an object from arguments of its config; None if its class rejects them.

        Args:
            cls: Its class.
            given: Arguments as they are in its config.
            name: Its name.
            as_words: Pass objects that Keras knows by a string as that string.
        """
        roles = {param.name: param.role for param in catalogue.parameters(cls)}
        kwargs = {"name": name} if "name" in roles and name else {}
        try:
            for key, value in given.items():
                word = self.value(value, roles[key]) if as_words and is_serialized(value) else None
                kwargs[key] = word.text if isinstance(word, Word) else self._deserialized(value)
            return cls(**kwargs)
        except Exception:  # noqa: BLE001 - whatever a class raises: it rejects these arguments
            return None

    def _deserialized(self, value: Any) -> Any:
        if is_serialized(value):
            if value["class_name"] == "DTypePolicy":
                return value["config"]["name"]
            with keras.saving.custom_object_scope(self.known):
                return keras.saving.deserialize_keras_object(copy.deepcopy(value), safe_mode=False)
        if isinstance(value, dict):
            return {key: self._deserialized(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return with_items(value, map(self._deserialized, value))
        return value if hasattr(value, "get_config") else copy.deepcopy(value)

    # --- layers -----------------------------------------------------------------------------------

    def step(self, layer: Any) -> PlanStep:
        """The step that makes a layer, without its inputs.

        Raises:
            UnwritableError: No text makes this layer.
        """
        self.known |= user_objects(layer)
        cls, name = type(layer), own_name(layer)
        if is_input_layer(layer):
            return PlanStep("input", Word("input"), keras.Input, self._input(layer), name=name)
        is_lambda = cls is keras.layers.Lambda
        values = self._lambda(layer) if is_lambda else self._layer(layer, cls)
        return PlanStep("layer", self.callee(cls, "layer"), cls, values, name=name)

    def _layer(self, layer: Any, cls: Any) -> dict[str, Value]:
        given = self.required_arguments(cls, _config(layer))
        values = self.parameter_values(cls, given)
        if not getattr(layer, "autocast", True):
            remade = self.remake(cls, given, layer.name)
            if getattr(remade, "autocast", False):
                values["autocast"] = LiteralValue(False)
        return values

    def _input(self, layer: Any) -> dict[str, Value]:
        batch_size, *shape = layer.batch_shape
        given: dict[str, Any] = {"shape": tuple(shape)}
        if batch_size is not None:
            given["batch_size"] = batch_size
        if layer.dtype != keras.config.floatx():
            given["dtype"] = layer.dtype
        given |= {
            flag: True for flag in ("sparse", "ragged", "optional") if getattr(layer, flag, False)
        }
        return self.parameter_values(keras.Input, given)

    def _lambda(self, layer: Any) -> dict[str, Value]:
        dtype = layer.dtype_policy.name
        given = {
            "function": layer.function,
            "output_shape": layer._output_shape,  # noqa: SLF001 - there is no other attribute
            "mask": layer.mask,
            "arguments": dict(layer.arguments or {}) or None,
            "dtype": None if dtype == keras.config.dtype_policy().name else dtype,
            "activity_regularizer": layer.activity_regularizer,
            "trainable": None if layer.trainable else False,
            "autocast": None if layer.autocast else False,
        }
        return {
            name: self.value(value, catalogue.role_of(name))
            for name, value in given.items()
            if value is not None
        }

    def compile_line(self, model: Any, *, scaled: bool = False) -> spec.CompileSpec | None:
        """The line that compiles a model in the same way; None if it is not compiled.

        With ``scaled`` it contains the scaling of the loss that Keras has added to the optimizer
        because of the global dtype policy.

        Raises:
            UnwritableError: Something it was compiled with cannot be written.
        """
        try:
            config = dict(model.get_compile_config() or {}) if model.compiled else {}
        except (TypeError, ValueError) as error:
            raise UnwritableError(f"its compilation cannot be written: {error}") from error
        if not config:
            return None
        if scaled and isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer):
            config["optimizer"] = keras.optimizers.serialize(model.optimizer)
        metrics = getattr(model, "_compile_metrics", None)
        names = ("_user_metrics", "_user_weighted_metrics")
        loss = getattr(model, "loss", None)
        for part in (model.optimizer, loss, *(getattr(metrics, name, None) for name in names)):
            self.known |= user_objects(part)
        resolve_jit = getattr(model, "_resolve_auto_jit_compile", None)
        if config.get("jit_compile") == (resolve_jit() if resolve_jit else None):
            del config["jit_compile"]
        config["loss"] = _with_lost_arguments(config.get("loss"), loss)
        args: list[Arg] = []
        for param in catalogue.parameters(type(model).compile):
            if config.get(param.name) in (None, param.default):
                continue
            value = self.value(config[param.name], param.role)
            match value:
                case SequenceValue(items=(metric,)) if param.name in _METRIC_LISTS:
                    value = metric
                case Object(Word("loss_scale_optimizer"), (Arg(value=Word() as inner), *others)):
                    # Keras takes only an object here, not a name.
                    value = Object(Word("loss_scale_optimizer"), (Arg(Object(inner)), *others))
            args.append(Arg(value, None if param.name == "optimizer" else param.name))
        return spec.CompileSpec(tuple(args))


def _layer_value(callee: Word | Expr, args: tuple[Arg, ...]) -> Value:
    if not args:
        return callee if isinstance(callee, Word) else Object(callee)
    is_nested = any(isinstance(arg.value, spec.InnerLayer) for arg in args)
    return Object(callee, args) if is_nested else spec.InnerLayer(callee, args)


def _wrong_keys(remade: dict[str, Any], target: dict[str, Any]) -> set[str]:
    missing = object()
    return {
        key for key in {*remade, *target} if remade.get(key, missing) != target.get(key, missing)
    }


def _cache_key(cls: Any, config: Mapping[str, Any]) -> str:
    """Equal for equal configs, except for names; "" if the config is not plain data."""
    own = {key: value for key, value in config.items() if key not in IGNORED}
    try:
        return f"{cls.__module__}.{cls.__qualname__} {json.dumps(own)}{own!r}"
    except (TypeError, ValueError):
        return ""


def _as_given(cls: Any, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """A config as the arguments were: Bidirectional renames the layer in it."""
    if cls.__name__ != "Bidirectional":
        return config
    config = copy.deepcopy(dict(config))
    inner = (config.get("layer") or {}).get("config", {})
    if "name" in inner:
        inner["name"] = inner["name"].removeprefix("forward_")
    return config


def user_objects(layer: Any) -> dict[str, Any]:
    """The classes and functions in a layer that are not Keras's, by name."""
    objects: dict[str, Any] = {}
    seen: set[int] = set()
    pending = [layer]
    while pending:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if inspect.isfunction(value) or inspect.isclass(value):
            objects.setdefault(value.__name__, value)
            continue
        if type(value).__module__.split(".")[0] in ("builtins", "numpy", "tensorflow"):
            continue
        objects.setdefault(type(value).__name__, type(value))
        parts = list(vars(value).values()) if hasattr(value, "__dict__") else []
        parts += sublayers(value)
        pending += [
            part
            for part in parts
            if inspect.isfunction(part) or (hasattr(part, "get_config") and not is_model(part))
        ]
    return {
        name: value
        for name, value in objects.items()
        if not (value.__module__ or "").startswith("keras.")
    }


# --- configs --------------------------------------------------------------------------------------


def _config(layer: Any) -> dict[str, Any]:
    """A layer's config, with its learned vocabulary and without what building it added."""
    try:
        config = dict(layer.get_config())
    except NotImplementedError:
        raise UnwritableError(
            f"{type(layer).__name__} has no get_config, so its arguments are unknown"
        ) from None
    except (TypeError, ValueError) as error:
        raise UnwritableError(f"its get_config fails: {error}") from None
    if config.get("vocabulary", "") is None and hasattr(layer, "get_vocabulary"):
        _add_vocabulary(layer, config)
    if getattr(layer, "built", False):
        _undo_building(layer, config)
    if config.get("bin_boundaries") is not None and config.get("num_bins") is not None:
        config["num_bins"] = None
    return config


def _add_vocabulary(layer: Any, config: dict[str, Any]) -> None:
    lookup = getattr(layer, "_lookup_layer", layer)
    tokens = layer.get_vocabulary(include_special_tokens=False) if lookup.vocabulary_size() else ()
    if len(tokens):
        config["vocabulary"] = [
            token.item() if hasattr(token, "item") else token for token in tokens
        ]
        if config.get("output_mode") == "tf_idf":
            config["idf_weights"] = lookup.idf_weights_const.numpy().tolist()


def _undo_building(layer: Any, config: dict[str, Any]) -> None:
    axis = config.get("axis")
    if type(layer) is keras.layers.LayerNormalization and isinstance(axis, list):
        config["axis"] = axis[0] if len(axis) == 1 else axis
    if type(layer) is keras.layers.MultiHeadAttention:
        shapes = (layer.get_build_config() or {}).get("shapes_dict", {})
        default_axes = tuple(range(1, len(shapes.get("query_shape") or ()) - 1))
        if tuple(config.get("attention_axes") or ()) == default_axes:
            config["attention_axes"] = None


def _with_lost_arguments(config: Any, loss: Any) -> Any:
    """A loss's config with the arguments of the function it wraps, which Keras leaves out."""
    if hasattr(loss, "get_config"):
        arguments = dict(getattr(loss, "_fn_kwargs", None) or {})
        has_both = arguments and isinstance(config, Mapping)
        return {**config, LOST_ARGUMENTS: arguments} if has_both else config
    if isinstance(loss, Mapping) and isinstance(config, Mapping):
        return {key: _with_lost_arguments(config[key], part) for key, part in loss.items()}
    if isinstance(loss, list | tuple):
        return [_with_lost_arguments(*pair) for pair in zip(config, loss, strict=True)]
    return config
