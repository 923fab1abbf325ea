"""The lexer agrees with the tokenizer and the parser."""

from __future__ import annotations

import itertools

import pytest
from pygments.token import Error

from kmagic.language import parse
from kmagic.language.parser import RESERVED
from kmagic.language.pygments_lexer import DEFINITION, TOKEN_TYPES, ModelTextLexer
from kmagic.language.spec import InnerLayer, LayerSpec, Object, Word, find_parts
from kmagic.language.tokens import tokenize

from ..model_texts import INVALID_TEXTS, SEARCH, VALID_TEXTS

CLASSES = {
    "name": {"keyword", "layer", "name", "argument", "word", "constant"},
    "number": {"number", "shape", "constant"},
    "shape": {"shape"},
    "string": {"string"},
    "brace": {"expression", "string"},
    "op": {"operator", "punctuation", "shape"},
    "range": {"number"},
}
"""Kinds of tokens -> the classes that their characters may have."""


def class_of_each_character(text: str) -> list[str]:
    names = {kind: name for name, kind in TOKEN_TYPES.items()}
    assert len(names) == len(TOKEN_TYPES)
    lexed = ModelTextLexer(stripnl=False, ensurenl=False).get_tokens_unprocessed(text)
    found = [(start, kind, part) for start, kind, part in lexed]
    assert "".join(part for _, _, part in found) == text
    assert [entry for entry in found if entry[1] is Error] == []
    return [names.get(kind, "") for _, kind, part in found for _ in part]


@pytest.mark.parametrize("text", [*VALID_TEXTS.values(), SEARCH], ids=[*VALID_TEXTS, "search"])
def test_every_token_has_a_class_of_its_kind(text: str) -> None:
    lines, problems = tokenize(text)
    assert not problems
    found = class_of_each_character(text)
    starts = [0, *itertools.accumulate(len(line) for line in text.splitlines(keepends=True))]
    covered = set()
    for token in (token for line in lines for token in line.tokens):
        start = starts[token.span.line - 1] + token.span.column - 1
        covered |= set(range(start, start + len(token.text)))
        classes = set(found[start : start + len(token.text)])
        if token.kind == "brace" and found[start] == "punctuation":
            continue  # a mapping has classes of its own
        assert classes <= CLASSES[token.kind], token
        assert len(classes) == 1 or token.kind == "brace", token
    between = {found[index] for index in range(len(text)) if index not in covered}
    assert between <= {"", "comment"}


def test_the_words_of_a_search() -> None:
    found = class_of_each_character(SEARCH)
    for word, name in [("vary", "keyword"), ("width", "name"), ("identity", "layer")]:
        assert found[SEARCH.index(word)] == name
    assert found[SEARCH.index("| relu") + 2] == "layer"
    assert found[SEARCH.index("~log") + 1] == "number"


@pytest.mark.parametrize("name", VALID_TEXTS)
def test_the_words_of_layers_objects_and_names_are_told_apart(name: str) -> None:
    text = VALID_TEXTS[name]
    spec = parse(text)
    found = class_of_each_character(text)
    starts = [0, *itertools.accumulate(len(line) for line in text.splitlines(keepends=True))]
    steps = list(find_parts(spec, LayerSpec))
    callees = [step.callee for step in steps if not step.reuse]
    callees += [part.callee for part in find_parts(spec, (InnerLayer, Object))]
    for word in callees:
        # Words in mappings stand in one brace, whose parts have other positions.
        if isinstance(word, Word) and text.startswith(
            word.text, start := starts[word.span.line - 1] + word.span.column - 1
        ):
            expected = "layer"
            if word.text in RESERVED:
                expected = "name" if word.text.startswith("_") else "keyword"
            assert found[start] == expected, word
    assert callees


def test_invalid_texts_keep_all_their_characters() -> None:
    for text in INVALID_TEXTS.values():
        lexed = ModelTextLexer(stripnl=False, ensurenl=False).get_tokens_unprocessed(text)
        assert "".join(part for _, _, part in lexed) == text


def test_magics_and_code_of_other_languages() -> None:
    text = INVALID_TEXTS["magics"]
    found = class_of_each_character(text.replace("%x", "dx"))
    assert found[0] == found[text.index("%%keras_model")] == "magic"
    assert found[text.index("input")] == "keyword"
    assert found[text.index("dense")] == "layer"
    text = INVALID_TEXTS["from R"]
    classes = class_of_each_character(text)
    assert set(classes[: text.index("\n")]) == {"magic"}
    assert set(classes[text.index("\n") :]) == {""}
    assert class_of_each_character(INVALID_TEXTS["not from R"])[-1] == "number"


def test_every_class_is_used() -> None:
    rules = [rule for rules in DEFINITION["states"].values() for rule in rules]
    assert {rule[1] for rule in rules if not isinstance(rule, str)} - {""} == set(TOKEN_TYPES)
