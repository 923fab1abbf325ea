"""The words to complete with: from Keras if it is there, else those that the package knows."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
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

_CHOICE = re.compile(r"[`'\"]+([A-Za-z]\w*)[`'\"]+")
_NO_CHOICES = {"None", "True", "False", "int", "float", "str", "tf_idf"}


@dataclass(frozen=True, slots=True)
class Word:
    """A word, and whether it is the one that is written or one that is only understood."""

    text: str
    preferred: bool = True


def words(role: Role) -> Iterable[Word]:
    """The words of a role."""
    if role not in ROLES:
        return ()
    if not keras_import.is_loaded():
        return (Word(each) for each in stored().get(role, ()))
    return _live(role)


@cache
def _live(role: Role) -> tuple[Word, ...]:
    known = list(keras_words(role))
    if role == "layer":  # the common ones first: dense before activation
        known = [each for members in families().values() for each in members]
    if role == "dtype":  # plain words before policies
        known.sort(key=lambda each: each.value is not None)
    found = [Word(each.word) for each in known]
    for each in known:
        found += [Word(alias, preferred=alias in ALIASES) for alias in each.aliases]
    return tuple(found)


@cache
def stored() -> dict[str, list[str]]:
    """The words of each role as the package was made with them."""
    text = files("kmagic").joinpath("static", "words.json").read_text(encoding="utf-8")
    found: dict[str, list[str]] = json.loads(text)
    return found


def to_store() -> dict[str, list[str]]:
    """The words of each role as the installed Keras has them."""
    return {role: [word.text for word in _live(role) if word.preferred] for role in ROLES}


def function(word: str, role: Role) -> Any:
    """The class or function that a word stands for, or None; None too without Keras."""
    if not keras_import.is_loaded():
        return None
    if word == "compile":
        return sys_keras().Model.compile
    if word == "input":
        return sys_keras().Input
    return find_word(role, word) if role in ROLES else _anywhere(word)


def _anywhere(word: str) -> Any:
    found = (find_word(role, word) for role in ROLES)
    return next((each for each in found if inspect.isclass(each)), None)


def sys_keras() -> Any:
    """Keras, which is there."""
    import keras  # noqa: PLC0415 - only asked for when it is loaded

    return keras


def parameters(made: Any) -> tuple[Parameter, ...]:
    """The parameters of a class or function that the text can set."""
    if made is None:
        return ()
    told = argument_descriptions(made)
    return tuple(
        each
        for each in catalogue.parameters(made)
        if each.name != "self" and (each.positional or each.name in told)
    )


def call_parameters(made: Any) -> tuple[str, ...]:
    """What a layer's call takes beyond its inputs, by keyword."""
    call = getattr(made, "call", None)
    if call is None:
        return ()
    params = list(inspect.signature(call).parameters.values())[2:]
    return tuple(
        each.name for each in params if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    )


def choices(made: Any, name: str) -> tuple[str, ...]:
    """The strings that a parameter can be, as its explanation names them."""
    default = next((p.default for p in catalogue.parameters(made) if p.name == name), None)
    told = docstring(made).arguments().get(name, "") or argument_descriptions(made).get(name, "")
    found = [each for each in _CHOICE.findall(told) if _is_choice(each, made)]
    if isinstance(default, str):
        found.insert(0, default)
    return tuple(dict.fromkeys(found)) if isinstance(default, str) or _is_text(told) else ()


def _is_choice(word: str, made: Any) -> bool:
    names = {each.name for each in catalogue.parameters(made)}
    return word not in names and word not in _NO_CHOICES and not word.isupper()


def _is_text(told: str) -> bool:
    return (
        told.lower()
        .lstrip("`")
        .startswith(("string", "str", "either", "one of", "optional string"))
    )
