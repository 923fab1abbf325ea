"""One piece of advice, and which of them the text or the caller has silenced."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from kmagic.language.spec import NO_SPAN, Span


@dataclass(frozen=True, slots=True)
class Advice:
    """Something that Keras takes in silence, and that will probably hurt.

    Attributes:
        code: Silences it: in ``silent=``, or in a comment behind the line.
        message: What it is, and what comes of it.
        remedy: What to write instead.
        span: Where it stands in the text that the model was built from, if it was.
        layer: The layer's name, if it is about one.
        is_hint: Whether it only could be better, and is not told unless asked for.
    """

    code: str
    message: str
    remedy: str
    span: Span = NO_SPAN
    layer: str = ""
    is_hint: bool = False

    def to_text(self, first_line: int = 1) -> str:
        """The whole in words, with its place and the way to silence it.

        Args:
            first_line: Number of the text's first line in the user's editor.

        Example:
            >>> advice = Advice("twice", "softmax comes twice.", "Leave one out.", Span(3, 1))
            >>> print(advice.to_text(first_line=2))
            line 4: softmax comes twice. Leave one out. (Silence: # twice)
        """
        place = f"layer {self.layer}: " if self.layer else ""
        if self.span.line:
            place = f"line {self.span.line + first_line - 1}: "
        return f"{place}{self.message} {self.remedy} (Silence: # {self.code})"

    def __str__(self) -> str:
        return self.to_text()


def filter_advice(
    found: Iterable[Advice], source: str, silent: Collection[str], *, hints: bool
) -> tuple[Advice, ...]:
    """What is left, in the order of the text.

    Args:
        found: All advice.
        source: The model's text.
        silent: Codes that are not wanted.
        hints: Whether what only could be better is wanted.
    """
    rows = source.splitlines()
    left: dict[tuple[str, int, str], Advice] = {}
    for each in found:
        wanted = each.code not in silent and (hints or not each.is_hint)
        if wanted and not _is_silenced(each, rows):
            # A line in a loop or block makes several layers, and is told once.
            key = (each.code, each.span.line, "" if each.span.line else each.layer)
            left.setdefault(key, each)
    return tuple(sorted(left.values(), key=lambda each: each.span.line))


def _is_silenced(advice: Advice, rows: list[str]) -> bool:
    """Whether a comment on the line holds the code."""
    if not 0 < advice.span.line <= len(rows):
        return False
    _, _, comment = rows[advice.span.line - 1].partition("#")
    return advice.code in re.findall(r"[\w-]+", comment)
