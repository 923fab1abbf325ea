"""The drawings of a search: the goal of each trial, and all trials in parallel coordinates.

A single exploded loss must not flatten all others: the axis of the goal ends where outliers begin,
and these are drawn at its end. An outlier is further from the worse quartile than 1.5 times the
distance of the quartiles (Tukey 1977, Exploratory Data Analysis).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kmagic.display.kit.card import drawing_html, escape_html
from kmagic.display.kit.chart import axis_ticks
from kmagic.display.kit.sparkline import COLOURS
from kmagic.language.search_space import Hyperparameter
from kmagic.support.formatting import format_metric, shorten_name
from kmagic.tuning.study import Study, StudyTrial

MAX_AXES = 9
"""Axes of parameters; in a larger space, those that matter most."""
AXIS_GAP, AXES_HEIGHT = 104, 190
TRIALS_WIDTH, TRIALS_HEIGHT = 360, 172
BEST_PART = 0.1
"""The part of the trials that stands out."""
MIN_TRIALS = 10
"""Trials from which on several stand out."""
MAX_CHOICES = 8
_TEXT = 'font-size="11" fill="currentColor" fill-opacity=".72"'
_FONT = "system-ui,sans-serif"


def best_trials(ranking: Sequence[StudyTrial]) -> list[StudyTrial]:
    """The trials that stand out: the best tenth, at least three if there are ten."""
    several = max(3, math.ceil(BEST_PART * len(ranking))) if len(ranking) >= MIN_TRIALS else 1
    return list(ranking[:several])


def goal_limits(study: Study, trials: Sequence[StudyTrial]) -> tuple[float, float, int]:
    """The best and the worst value that are drawn, and how many are worse than that."""
    values = np.array([trial.value for trial in trials if trial.value is not None])
    if not len(values):
        return 0.0, 1.0, 0
    losses = study.sign * values
    first, third = np.quantile(losses, [0.25, 0.75])
    shown = losses[losses <= third + 1.5 * (third - first)]
    limits = study.sign * float(shown.min()), study.sign * float(shown.max())
    return *limits, int(len(losses) - len(shown))


# --- the goal of each trial -----------------------------------------------------------------------


def trials_html(study: Study, trials: Sequence[StudyTrial]) -> str:
    """The goal of each trial as a point, and the best one so far as a line."""
    points = [(t.number, t.value, t.status) for t in trials if t.value is not None]
    if not points:
        return ""
    best, worst, outliers = goal_limits(study, trials)
    low, middle, high = axis_ticks(sorted((best, worst)))
    left, right, top, bottom = 48, 10, 30, 24
    last = max(1, *(number for number, *_ in points))
    width, height = TRIALS_WIDTH, TRIALS_HEIGHT

    def place(number: float, value: float) -> tuple[int, int]:
        share = min(max((value - low) / (high - low), 0.0), 1.0)
        x = left + number / last * (width - left - right)
        return round(x), round(height - bottom - share * (height - top - bottom))

    grid = "".join(
        f'<path d="M{left} {place(0, value)[1]}H{width - right}" stroke="currentColor" '
        f'stroke-opacity=".12"/><text x="{left - 6}" y="{place(0, value)[1] + 4}" '
        f'text-anchor="end" {_TEXT}>{format_metric(value)}</text>'
        for value in (low, middle, high)
    )
    numbers = sorted({0, round(last / 2), last})
    grid += "".join(
        f'<text x="{place(number, low)[0]}" y="{height - 8}" text-anchor="middle" {_TEXT}>'
        f"{number:,}</text>"
        for number in numbers
    )
    dots = {
        status: "".join("M{} {}h0".format(*place(n, v)) for n, v, s in points if s == status)
        for status in ("pruned", "complete")
    }
    line, so_far = "", None
    for number, value, status in points:
        if status == "complete" and (so_far is None or study.sign * (value - so_far) < 0):
            x, y = place(number, value)
            line += f"H{x}V{y}" if line else f"M{x} {y}"
            so_far = value
    line += f"H{width - right}" if line else ""
    marks = (
        _dots(dots["pruned"], "currentColor", 3, 0.35)
        + _dots(dots["complete"], "var(--km-blue)", 5, 0.75)
        + f'<path d="{line}" fill="none" stroke="var(--km-orange)" stroke-width="1.6"/>'
    )
    title = (
        '<text x="0" y="13" font-size="12" font-weight="600" fill="currentColor">'
        f"{_label(study.goal, 40)} by trial</text>"
    )
    alt = f"{study.goal} of {len(points)} trials"
    alt += "" if so_far is None else f", best {format_metric(so_far)}"
    alt += f"; {outliers} beyond the axis" if outliers else ""
    return _drawing(title + grid + marks, alt, width, height)


def _dots(path: str, colour: str, size: int, opacity: float) -> str:
    return (
        f'<path d="{path}" stroke="{colour}" stroke-opacity="{opacity}" stroke-width="{size}" '
        'stroke-linecap="round"/>'
        if path
        else ""
    )


# --- parallel coordinates -------------------------------------------------------------------------


def coordinates_html(
    study: Study, ranking: Sequence[StudyTrial], importance: Mapping[str, float]
) -> str:
    """Each complete trial as a line through its values; the best ones stand out."""
    axes = sorted(study.parameters, key=lambda item: -importance.get(item.name, 0.0))[:MAX_AXES]
    axes = [item for item in study.parameters if item in axes]
    best, worst, _ = goal_limits(study, ranking)
    height, top, bottom = AXES_HEIGHT, 34, 18
    width = AXIS_GAP * len(axes) + 120
    xs = [44 + AXIS_GAP * index for index in range(len(axes) + 1)]

    def level(share: float) -> int:
        return round(height - bottom - share * (height - top - bottom))

    def goal_share(value: float) -> float:
        return 1 - min(max((value - best) / ((worst - best) or 1), 0.0), 1.0)

    strong = {trial.number for trial in best_trials(ranking)}
    lines = {False: "", True: ""}
    for trial in reversed(ranking):
        used = study.used_values(trial)
        points = [
            f"{x} {level(axis_share(axis, used[axis.name]))}"
            for x, axis in zip(xs, axes, strict=False)
            if axis.name in used  # else the line passes by
        ]
        path = "L".join([*points, f"{xs[-1]} {level(goal_share(trial.value or 0.0))}"])
        lines[trial.number in strong] += f"M{path}"
    body = "".join(
        f'<path d="{lines[is_best]}" fill="none" stroke="var({colour})" stroke-width="{size}" '
        f'stroke-opacity="{opacity}" stroke-linejoin="round"/>'
        for is_best, colour, size, opacity in (
            (False, "--km-blue", 1, max(0.12, min(0.5, 12 / max(len(ranking), 1)))),
            (True, "--km-orange", 1.8, 0.9),
        )
    )
    for x, axis in zip(xs, axes, strict=False):
        body += _axis(x, _label(axis.name, 17), axis_labels(axis), level)
    ends = [(1.0, format_metric(best)), (0.0, format_metric(worst))]
    body += _axis(xs[-1], _label(study.goal, 17), ends, level)
    alt = f"{len(ranking)} trials in parallel coordinates. {best_ranges(study, ranking)}"
    return _drawing(body, alt.strip(), width, height)


def axis_share(parameter: Hyperparameter, value: Any) -> float:
    """Where a value lies on the axis of its parameter, from 0 to 1."""
    if parameter.choices:
        last = len(parameter.choices) - 1
        return parameter.choices.index(value) / last if last else 0.5
    low, high, number = float(parameter.low), float(parameter.high), float(value)
    if parameter.log:
        return math.log(number / low) / math.log(high / low)
    return (number - low) / (high - low)


def axis_labels(parameter: Hyperparameter) -> list[tuple[float, str]]:
    """The labels of an axis: the ends of a range, or the choices; of many, the first and last."""
    values = parameter.ends()
    if len(values) > MAX_CHOICES:
        values = (values[0], values[-1])
    return [(axis_share(parameter, value), value_text(value)) for value in values]


def value_text(value: Any) -> str:
    """A value of a parameter as short text.

    Example:
        >>> value_text(0.00031), value_text(64), value_text("relu")
        ('0.00031', '64', 'relu')
    """
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def best_ranges(study: Study, ranking: Sequence[StudyTrial]) -> str:
    """What the best trials have in common: "units 96 to 128, activation relu"."""
    chosen = best_trials(ranking)
    parts = []
    used = [study.used_values(trial) for trial in chosen]
    for parameter in study.parameters if len(chosen) > 1 else ():
        values = [trial[parameter.name] for trial in used if parameter.name in trial]
        if len(values) < len(chosen):
            continue
        if parameter.choices:
            kinds = [choice for choice in parameter.choices if choice in values]
            text = " or ".join(map(value_text, kinds))
            if len(kinds) == len(parameter.choices):
                continue
        else:
            ends = sorted({value_text(min(values)): None, value_text(max(values)): None}, key=float)
            text = " to ".join(ends)
        parts.append(f"{parameter.name} {text}")
    return f"The best {len(chosen)} trials have {', '.join(parts)}." if parts else ""


def _axis(x: int, name: str, labels: Sequence[tuple[float, str]], level: Any) -> str:
    texts = "".join(
        f'<text x="{x + 5}" y="{level(share) + 4}" {_TEXT} paint-order="stroke" '
        f'stroke="var(--km-ground)" stroke-width="3">{_label(text, 14)}</text>'
        for share, text in labels
    )
    return (
        f'<path d="M{x} {level(1)}V{level(0)}" stroke="currentColor" stroke-opacity=".45"/>'
        f'<text x="{x}" y="16" text-anchor="middle" font-size="11" fill="currentColor">'
        f"{name}</text>{texts}"
    )


def _label(text: str, limit: int) -> str:
    return escape_html(shorten_name(text, limit))


def _drawing(body: str, alt: str, width: int, height: int) -> str:
    """A drawing in the colours of the theme, and as an image in colours for both themes."""
    start = f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
    inline = (
        f'{start}role="img" aria-label="{escape_html(alt)}" '
        f'style="display:block;font-family:var(--jp-ui-font-family,{_FONT})">{body}</svg>'
    )
    plain = body.replace("currentColor", COLOURS["--km-fg"])
    plain = plain.replace(' paint-order="stroke" stroke="var(--km-ground)" stroke-width="3"', "")
    for name, colour in COLOURS.items():
        plain = plain.replace(f"var({name})", colour)
    image = f'{start}xmlns="http://www.w3.org/2000/svg" font-family="{_FONT}">{plain}</svg>'
    return drawing_html(inline, image.replace('"', "'"), alt=alt, width=width, height=height)
