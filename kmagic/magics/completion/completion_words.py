"""The words to complete with: from Keras once it is loaded, until then those of the package."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from kmagic.language.vocabulary import ALIASES
from kmagic.models import catalogue
from kmagic.models.catalogue import Parameter, Role
from kmagic.models.reference.docstring import docstring
from kmagic.models.reference.word_families import ROLES, families, find_word, keras_words
from kmagic.models.reference.word_help import argument_descriptions
from kmagic.support import keras_import

_QUOTED = re.compile(r"[`'\"]+([A-Za-z]\w*)[`'\"]+")
_NO_CHOICES = {"None", "True", "False", "int", "float", "str", "tf_idf"}
_STRING_TYPES = ("string", "str", "either", "one of", "optional string")


def words_of(role: Role) -> Mapping[str, bool]:
    """The words of a role; False for an alternative spelling."""
    if role not in ROLES:
        return {}
    if not keras_import.is_loaded():
        return dict.fromkeys(stored_words().get(role, ()), True)
    return _keras_words(role)


@cache
def _keras_words(role: Role) -> dict[str, bool]:
    known = list(keras_words(role))
    if role == "layer":  # the common ones first: dense before activation
        known = [word for members in families().values() for word in members]
    if role == "dtype":  # plain dtypes before policies
        known.sort(key=lambda word: word.value is not None)
    words = {word.word: True for word in known}
    for word in known:
        for alias in word.aliases:
            words.setdefault(alias, alias in ALIASES)
    return words


@cache
def stored_words() -> dict[str, list[str]]:
    """The words of each role, as the package was built with them."""
    text = files(__package__).joinpath("words.json").read_text(encoding="utf-8")
    words: dict[str, list[str]] = json.loads(text)
    return words


def words_to_store() -> dict[str, list[str]]:
    """The words of each role in the installed Keras."""
    return {
        role: [word for word, preferred in _keras_words(role).items() if preferred]
        for role in ROLES
    }


def find_function(word: str, role: Role) -> Any:
    """The class or function that a word stands for; None if it is unknown or Keras not loaded."""
    if not keras_import.is_loaded():
        return None
    import keras  # noqa: PLC0415 - it is loaded

    if word == "compile":
        return keras.Model.compile
    if word == "input":
        return keras.Input
    if role in ROLES:
        return find_word(role, word)
    known = (find_word(role, word) for role in ROLES)
    return next((value for value in known if inspect.isclass(value)), None)


def text_parameters(function: Any) -> tuple[Parameter, ...]:
    """The parameters of a class or function that a text can set."""
    if function is None:
        return ()
    described = argument_descriptions(function)
    return tuple(
        param
        for param in catalogue.parameters(function)
        if param.name != "self" and (param.positional or param.name in described)
    )


def call_parameters(layer: Any) -> tuple[str, ...]:
    """The keyword parameters of a layer's call, after its inputs."""
    call = getattr(layer, "call", None)
    if call is None:
        return ()
    params = list(inspect.signature(call).parameters.values())[2:]
    return tuple(
        param.name
        for param in params
        if param.kind not in (param.VAR_POSITIONAL, param.VAR_KEYWORD)
    )


def string_choices(function: Any, name: str) -> tuple[str, ...]:
    """The strings that a parameter can be, as its description names them."""
    params = {param.name: param for param in catalogue.parameters(function)}
    default = params[name].default if name in params else None
    description = docstring(function).arguments().get(name, "")
    description = description or argument_descriptions(function).get(name, "")
    choices = [
        word
        for word in _QUOTED.findall(description)
        if word not in params and word not in _NO_CHOICES and not word.isupper()
    ]
    if isinstance(default, str):
        return tuple(dict.fromkeys([default, *choices]))
    is_string = description.lower().lstrip("`").startswith(_STRING_TYPES)
    return tuple(dict.fromkeys(choices)) if is_string else ()
