"""Random edits of texts, JSON values and bytes, and what the fuzz inputs are made from."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
DASHES = "----\n"
TOKEN = re.compile(r"\w+|\n[ \t]*|[ \t]+|[^\w\s]")

NUMBERS = (
    *("0", "1", "2", "3", "-1", "255", "1e999", "-1e-400", "nan", "inf", "1_000", "0x10", "07"),
    *("9" * 30, "9" * 5000, "1" + "0" * 12, "2147483648", "0.5", ".5", "5.", "1e5", "3j", "²", "٣"),
    *("99999999", "9223372036854775808", "-9223372036854775809", "1e-3", "0.1L"),
)
CHARACTERS = (
    *("\ud800", "\0", "\ufeff", "\u200b", "\u2028", "\xa0", "\t", "\r", "\r\n", "\x0b", "\x1b[31m"),
    *("é", "e\u0301", "名前", "𝒳", "İ", "ß", "𝟙", "👩‍👩‍👧", "\u202e", "‘", "”", "–", "×", "…"),
)
SIGNS = (
    *("'", '"', "{", "}", "(", ")", "[", "]", "{}", "[]", "()", "->", "<-", "<- _", "=", "==", ":"),
    *("/", "//", "#", "%", "%%", "\\", "`", ",", ";", "!", "?", "*", "**", "@", "$", "&", "|", "~"),
    *("...", "_", "_in", "None", "True", "none", "true", "<<", "\n", "\n  ", "\n\n", "'''", '"""'),
)
VALUES = (
    *(None, True, False, 0, 1, -1, 3, 1.5, -0.0, math.inf, math.nan, 10**9, 10**12, 10**30, ""),
    *(
        "x",
        "relu",
        "__class__",
        "../../x",
        "\ud800",
        "\0",
        [],
        {},
        [[]],
        [None],
        {"": {}},
        [1] * 99,
    ),
    *({"class_name": "Dense", "config": {}}, {"class_name": "Lambda", "config": {"function": 1}}),
    *(
        {"module": "builtins", "class_name": "eval", "config": {}},
        ["a", 0, 0],
        "float32",
        "n" * 300,
    ),
)


def edit_text(
    random: Random, text: str, others: Iterable[str] = (), edits: int | None = None
) -> str:
    """A text with up to two random edits of tokens, lines or characters.

    More would rarely leave anything that gets past the parser.
    """
    words = [token for other in others for token in TOKEN.findall(other)]
    for _ in range(random.choice((0, 0, 1, 1, 2)) if edits is None else edits):
        text = random.choice(_TEXT_EDITS)(random, text, words)[:60_000]
    return text


def _move(edit: int, items: list[str], at: int, other: int) -> None:
    """Delete an item, repeat another one before it, or swap the two."""
    match edit:
        case 0:
            del items[at]
        case 1:
            items.insert(at, items[other])
        case _:
            items[at], items[other] = items[other], items[at]


def _edit_token(random: Random, text: str, words: list[str]) -> str:
    tokens = TOKEN.findall(text) or [""]
    at, other = random.randrange(len(tokens)), random.randrange(len(tokens))
    match random.randrange(6):
        case 0 | 1 | 2 as edit:
            _move(edit, tokens, at, other)
        case 3:
            tokens[at] = random.choice(words or tokens)
        case 4:
            tokens[at] = random.choice((*NUMBERS, *CHARACTERS, *SIGNS))
        case _:
            tokens.insert(at, random.choice((*SIGNS, *CHARACTERS)))
    return "".join(tokens)


def _edit_number(random: Random, text: str, words: list[str]) -> str:
    numbers = list(re.finditer(r"\d+", text))
    if not numbers:
        return _edit_token(random, text, words)
    number = random.choice(numbers)
    return text[: number.start()] + random.choice(NUMBERS) + text[number.end() :]


def _edit_line(random: Random, text: str, words: list[str]) -> str:
    lines = text.split("\n")
    at, other = random.randrange(len(lines)), random.randrange(len(lines))
    match random.randrange(5):
        case 0 | 1 | 2 as edit:
            _move(edit, lines, at, other)
        case 3:
            lines[at] = random.choice(("  ", "\t", "    ", " ")) + lines[at]
        case _:
            lines[at] = lines[at].strip()
    return "\n".join(lines)


def _edit_character(random: Random, text: str, words: list[str]) -> str:
    at = random.randint(0, len(text))
    new = random.choice((*CHARACTERS, *SIGNS, chr(random.randrange(1, 0x3000)), ""))
    return text[:at] + new + text[at + random.randint(0, 2) :]


def _repeat_part(random: Random, text: str, words: list[str]) -> str:
    start = random.randint(0, len(text))
    part = text[start : start + random.randint(1, 12)]
    times = random.choice((2, 3, 10, 100, 1000, 10_000))
    return text[:start] + part * times + text[start:]


def _nest(random: Random, text: str, words: list[str]) -> str:
    start = random.randint(0, len(text))
    end = random.randint(start, min(len(text), start + 20))
    opening, closing = random.choice((("(", ")"), ("[", "]"), ("{", "}"), ("f(", ")"), ("-", "")))
    times = random.choice((1, 1, 2, 5, 50, 300, 5000))
    return f"{text[:start]}{opening * times}{text[start:end]}{closing * times}{text[end:]}"


_TEXT_EDITS: tuple[Callable[[Random, str, list[str]], str], ...] = (
    *(_edit_token,) * 6,
    *(_edit_number,) * 2,
    *(_edit_line,) * 2,
    _edit_character,
    _repeat_part,
    _nest,
)


def edit_json(random: Random, value: Any, edits: int | None = None) -> Any:
    """A JSON value with up to three parts replaced, removed, moved or nested."""
    value = json.loads(json.dumps(value))
    for _ in range(random.choice((1, 1, 2, 3)) if edits is None else edits):
        parts = list(_parts(value))
        if not parts:
            return copy.deepcopy(random.choice(VALUES))
        owner, key = random.choice(parts)
        other_owner, other_key = random.choice(parts)
        match random.randrange(6):
            case 0:
                del owner[key]
            case 1:
                owner[key] = json.loads(json.dumps(other_owner[other_key]))
            case 2 if isinstance(owner, dict):
                owner[random.choice(("name", "config", "class_name", "", "x"))] = owner.pop(key)
            case 3:
                for _ in range(random.choice((1, 2, 150))):
                    owner[key] = random.choice(([owner[key]], {"config": owner[key]}))
            case 4 if isinstance(owner[key], int | float):
                owner[key] = random.choice((0, -1, 10**9, 10**12, 10**30, 1e308, 0.5, math.nan))
            case _:
                owner[key] = copy.deepcopy(random.choice(VALUES))
    return value


def _parts(value: Any) -> Iterable[tuple[Any, Any]]:
    pending = [value]
    while pending:
        owner = pending.pop()
        keys = owner if isinstance(owner, dict) else range(len(owner))
        for key in list(keys):
            yield owner, key
            if isinstance(owner[key], dict | list):
                pending.append(owner[key])


def edit_bytes(random: Random, content: bytes) -> bytes:
    """Bytes that are truncated, flipped, zeroed, repeated or removed in places."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 8, 40))):
        at = random.randrange(max(1, len(data)))
        # The beginning of a file says the most about the rest.
        at = random.choice((at, at % 64, at % 1024))
        size = random.choice((1, 2, 4, 16, 512))
        match random.randrange(6):
            case 0:
                return bytes(data[:at])
            case 1 if at < len(data):
                data[at] ^= 1 << random.randrange(8)
            case 2:
                data[at : at + size] = bytes(len(data[at : at + size]))
            case 3:
                data[at:at] = random.choice((random.randbytes(size), data[at : at + size]))
            case 4:
                del data[at : at + size]
            case _ if at < len(data):
                data[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
    return bytes(data)


# --- texts of this project ------------------------------------------------------------------------


@cache
def right_texts() -> tuple[str, ...]:
    """Texts of the layer language without mistakes."""
    texts = [_read(file) for file in sorted((TESTS / "models").glob("*.kmagic"))]
    features = _read(TESTS / "models" / "codegen" / "features.txt")
    texts += [section.partition("\n")[2] for section in features.split("\n## ")[1:]]
    page = _read(ROOT / "docs" / "language.md")
    texts += re.findall(r"^```kmagic\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    return tuple(texts)


@cache
def model_texts() -> tuple[str, ...]:
    """Texts of the layer language: right ones and those with mistakes."""
    mistakes = (_code(file) for file in sorted((TESTS / "mistakes").rglob("*.txt")))
    return (*mistakes, *right_texts())


@cache
def r_texts() -> tuple[str, ...]:
    """Scripts in R."""
    files = sorted((TESTS / "from_r").rglob("*.txt"))
    page = _read(ROOT / "docs" / "from-kerasr.md")
    return (*map(_code, files), *re.findall(r"^```r\n(.*?)^```", page, re.DOTALL | re.MULTILINE))


def _code(file: Path) -> str:
    return _read(file).partition(DASHES)[0].removesuffix("\n")


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8")
