"""Whether two models are equal: configs, names that were given, weights, outputs."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from kmagic.models.decompile.config_values import is_default_name

NOISE = frozenset({"registered_name", "build_config", "compile_config", "shared_object_id"})
"""Parts of a serialized model that say nothing about what it is."""


def assert_same(first: Any, second: Any, *, outputs: bool = True) -> None:
    """Fail if two models differ in anything but names that Keras invented.

    Args:
        first: A model.
        second: Another, which may have names of its own where the first has invented ones.
        outputs: Whether to compare what they give for the same weights and inputs.
    """
    assert type(first) is type(second)
    one, other = map(keras.saving.serialize_keras_object, (first, second))
    names = given_names(one)
    assert difference(canonical(one, names), canonical(other, names)) == ""
    assert [each.shape for each in first.weights] == [each.shape for each in second.weights]
    assert [each.trainable for each in first.weights] == [each.trainable for each in second.weights]
    if not outputs:
        return
    rng = np.random.default_rng(0)
    for weight, its_like in zip(first.weights, second.weights, strict=True):
        value = keras.ops.convert_to_numpy(weight)
        if value.dtype.kind == "f":
            value = rng.normal(scale=0.2, size=value.shape).astype(value.dtype)
        weight.assign(value)
        its_like.assign(value)
    inputs = fed(first, rng)
    if inputs is not None:
        gave, should_give = second(inputs, training=False), first(inputs, training=False)
        keras.tree.map_structure(assert_close, gave, should_give)


def fed(model: Any, rng: np.random.Generator) -> Any:
    """Random inputs for a model; None if it does not know yet what it takes."""
    if isinstance(model, keras.Sequential):
        return random_input(model.inputs[0], rng) if model.built else None
    return keras.tree.map_structure(lambda tensor: random_input(tensor, rng), model.input)


def random_input(tensor: Any, rng: np.random.Generator) -> Any:
    shape = [2 if size is None else size for size in tensor.shape]
    if tensor.dtype == "string":
        return strings(shape)
    if "int" in tensor.dtype:
        return rng.integers(0, 3, shape).astype(tensor.dtype)
    if tensor.dtype == "bool":
        return rng.random(shape) > 0.3
    return rng.normal(size=shape).astype(tensor.dtype)


def strings(shape: list[int]) -> Any:
    import tensorflow as tf

    return tf.constant(np.full(shape, "a").tolist())


def assert_close(first: Any, second: Any) -> None:
    one, other = map(keras.ops.convert_to_numpy, (first, second))
    if one.dtype.kind in "fc":
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    else:
        np.testing.assert_array_equal(one, other)


def given_names(config: Any) -> set[str]:
    """All names in a serialized model that Keras did not invent."""
    found: set[str] = set()
    pending = [config]
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            inner = each.get("config")
            name = inner.get("name") if isinstance(inner, dict) else None
            if isinstance(name, str) and not is_default_name(name, str(each.get("class_name"))):
                found.add(name)
            pending += each.values()
        elif isinstance(each, list | tuple):
            pending += each
    return found


def canonical(value: Any, names: set[str], places: dict[str, str] | None = None) -> Any:
    """A serialized model with each layer's place in the stead of its name.

    Args:
        value: The model, or a part of it.
        names: Names that stay, beside the places.
        places: Layer's name -> place, within the model that the value belongs to.
    """
    if isinstance(value, list | tuple):
        return type(value)(canonical(item, names, places) for item in value)
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "__keras_tensor__":
        layer, call, tensor = value["config"]["keras_history"]
        return ("tensor", (places or {}).get(layer, layer), call, tensor)
    found = {
        key: canonical(item, names, places)
        for key, item in value.items()
        if key not in NOISE and key not in ("config", "name")
    }
    inner = value.get("config")
    if isinstance(inner, dict) and "class_name" in value:
        found["config"] = canonical_config(inner, names)
    elif "config" in value:
        found["config"] = canonical(inner, names, places)
    if "name" in value and "class_name" not in value:
        found["name"] = value["name"]
    return found


def canonical_config(config: dict[str, Any], names: set[str]) -> dict[str, Any]:
    places: dict[str, str] = {}
    if isinstance(config.get("layers"), list):
        places = {
            str(layer.get("name", layer["config"].get("name"))): f"#{place}"
            for place, layer in enumerate(config["layers"])
        }
    found = {
        key: ends(item, places)
        if key in ("input_layers", "output_layers")
        else canonical(item, names, places)
        for key, item in config.items()
        if key != "name"
    }
    name = config.get("name")
    return found | {"name": name if name in names else None}


def ends(value: Any, places: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: ends(item, places) for key, item in value.items()}
    if isinstance(value, list | tuple) and len(value) == 3 and isinstance(value[0], str):
        return (places[value[0]], *value[1:])
    return type(value)(ends(item, places) for item in value)


def difference(first: Any, second: Any, path: str = "") -> str:
    """Where two structures differ first, and how; "" if nowhere."""
    if type(first) is not type(second):
        return f"{path}: {first!r} is not {second!r}"
    if isinstance(first, dict):
        if first.keys() != second.keys():
            return f"{path}: keys {sorted(map(str, first.keys() ^ second.keys()))}"
        found = (difference(first[key], second[key], f"{path}.{key}") for key in first)
        return next(filter(None, found), "")
    if isinstance(first, list | tuple):
        if len(first) != len(second):
            return f"{path}: {len(first)} against {len(second)} items"
        pairs = enumerate(zip(first, second, strict=True))
        found = (difference(one, other, f"{path}[{at}]") for at, (one, other) in pairs)
        return next(filter(None, found), "")
    is_same = first is second or bool(np.all(first == second)) or (first != first)  # noqa: PLR0124 - nan
    return "" if is_same else f"{path}: {first!r} is not {second!r}"
