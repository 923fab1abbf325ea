"""How much there is to write: ten well-known models in the layer language and in Keras.

The texts are those of ``tests/models``, the programs those of ``benchmarks/keras_models``, written
by hand as in Keras's own examples and laid out by ``ruff format``; a test holds that each text and
its program give equal models. Every character counts on both sides, white space and comments too.
The ``import`` lines, which a notebook has once, are left out, and so is the ``%%keras_model`` line;
the last row has them on both sides.

    python benchmarks/compactness.py
"""

from __future__ import annotations

import argparse
import io
import tokenize
from dataclasses import dataclass
from pathlib import Path

from kmagic.language.tokens import tokenize as words

HERE = Path(__file__).parent
TEXTS = HERE.parent / "tests" / "models"
PROGRAMS = HERE / "keras_models"
GOAL = 0.40
_LAYOUT = {tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
_LAYOUT |= {tokenize.COMMENT, tokenize.ENCODING}


@dataclass(frozen=True, slots=True)
class Size:
    """How long a text is.

    Attributes:
        characters: All of them, white space too.
        tokens: Words, numbers, signs.
        lines: Those that hold something.
    """

    characters: int
    tokens: int
    lines: int

    def __add__(self, other: Size) -> Size:
        return Size(
            self.characters + other.characters,
            self.tokens + other.tokens,
            self.lines + other.lines,
        )


def size_of_program(source: str) -> Size:
    """The size of Python source, as Python's own tokenizer sees it."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return _size(source, sum(each.type not in _LAYOUT for each in tokens))


def size_of_text(text: str) -> Size:
    """The size of a text of the layer language; an expression in braces counts as Python's."""
    lines, problems = words(text)
    if problems:
        raise ValueError(problems[0].message)
    count = 0
    for token in (each for line in lines for each in line.tokens):
        inner = token.text[1:-1] if token.kind == "brace" else ""
        count += 2 + size_of_program(inner).tokens if inner else 1
    return _size(text, count)


def _size(text: str, tokens: int) -> Size:
    return Size(len(text), tokens, sum(bool(line.strip()) for line in text.splitlines()))


def without_imports(source: str) -> str:
    """A program without the lines that a notebook has once."""
    lines = [line for line in source.splitlines(keepends=True) if " keras" not in line[:12]]
    return "".join(lines).lstrip("\n")


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0]).parse_args()
    texts = {path.stem: path.read_text("utf-8") for path in sorted(TEXTS.glob("*.kmagic"))}
    programs = {name: (PROGRAMS / f"{name}.py").read_text("utf-8") for name in texts}
    rows = {
        name: (size_of_text(texts[name]), size_of_program(without_imports(programs[name])))
        for name in texts
    }
    nothing = Size(0, 0, 0)
    rows["all ten"] = (
        sum((ours for ours, _ in rows.values()), nothing),
        sum((keras for _, keras in rows.values()), nothing),
    )
    print(f"{'':15}{'characters':>22}{'tokens':>20}{'lines':>20}")
    print(
        f"{'':15}{'ours':>8}{'keras':>7}{'ratio':>7}" + f"{'ours':>7}{'keras':>7}{'ratio':>6}" * 2
    )
    for name, (ours, keras) in rows.items():
        print(
            f"{name:15}"
            f"{ours.characters:8,}{keras.characters:7,}{ours.characters / keras.characters:7.2f}"
            f"{ours.tokens:7,}{keras.tokens:7,}{ours.tokens / keras.tokens:6.2f}"
            f"{ours.lines:7,}{keras.lines:7,}{ours.lines / keras.lines:6.2f}"
        )
    ours = sum(len(f"%%keras_model {name}\n{text}") for name, text in texts.items())
    keras = sum(map(len, programs.values()))
    print(f"{'with imports':15}{ours:8,}{keras:7,}{ours / keras:7.2f}")
    ratio = rows["all ten"][0].characters / rows["all ten"][1].characters
    print(f"\nGoal: at most {GOAL:.2f} of the characters. {'Met' if ratio <= GOAL else 'Missed'}.")


if __name__ == "__main__":
    main()
