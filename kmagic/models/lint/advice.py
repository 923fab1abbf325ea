"""A piece of advice, and which advice the text or the caller hides."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from kmagic.language.spec import NO_SPAN, Span


@dataclass(frozen=True, slots=True)
class Advice:
    """A mistake that Keras accepts silently.

    Attributes:
        code: Hides the advice: in ``silent=``, or in a comment in its line.
        message: The consequence, and its cause.
        remedy: What to write instead.
        span: The position in the model's text, if it has one.
        layer: The layer's name, if the advice is about a layer.
        is_hint: Whether it is only a possible improvement, shown on request.
    """

    code: str
    message: str
    remedy: str
    span: Span = NO_SPAN
    layer: str = ""
    is_hint: bool = False

    def to_text(self, first_line: int = 1) -> str:
        """The advice with its position, and how to hide it.

        Args:
            first_line: Number of the text's first line in the user's editor.

        Example:
            >>> advice = Advice("twice", "Softmax is applied twice.", "Remove one.", Span(3, 1))
            >>> print(advice.to_text(first_line=2))
            line 4: Softmax is applied twice. Remove one. (To hide this, add `# twice` to the line.)
        """
        advice = f"{self.message} {self.remedy}"
        if self.span.line:
            line = self.span.line + first_line - 1
            return f"line {line}: {advice} (To hide this, add `# {self.code}` to the line.)"
        return f"layer {self.layer}: {advice}" if self.layer else advice

    def __str__(self) -> str:
        return self.to_text()


def filter_advice(
    advice: Iterable[Advice], source: str, silent: Collection[str], *, hints: bool
) -> tuple[Advice, ...]:
    """The advice to show, in the order of the text; ``silent`` are codes to leave out."""
    lines = source.splitlines()
    shown: dict[tuple[str, int, str], Advice] = {}
    for item in advice:
        wanted = item.code not in silent and (hints or not item.is_hint)
        if wanted and not _is_hidden(item, lines):
            # A line in a loop or block creates several layers; its advice is shown once.
            key = (item.code, item.span.line, "" if item.span.line else item.layer)
            shown.setdefault(key, item)
    return tuple(sorted(shown.values(), key=lambda item: item.span.line))


def _is_hidden(advice: Advice, lines: list[str]) -> bool:
    """Whether a comment in the advice's line contains its code."""
    if not 0 < advice.span.line <= len(lines):
        return False
    _, _, comment = lines[advice.span.line - 1].partition("#")
    return advice.code in re.findall(r"[\w-]+", comment)
