"""A search as text and as a card: the best model, the trials, and what matters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from kmagic.display.kit.card import (
    Bundle,
    bar_html,
    breakable_html,
    card_html,
    details_html,
    escape_html,
    figure_html,
    message_html,
    mime_bundle,
    name_html,
    scroll_html,
    table_html,
    with_drawings,
)
from kmagic.display.kit.highlighting import code_html
from kmagic.display.kit.sparkline import sparkline_html
from kmagic.display.tuning.study_chart import (
    best_ranges,
    best_trials,
    coordinates_html,
    goal_limits,
    trials_html,
    value_text,
)
from kmagic.support.display_mode import is_static
from kmagic.support.formatting import (
    format_approximate_duration,
    format_duration,
    format_metric,
    list_names,
    pluralize,
)
from kmagic.tuning.study import MIN_TRIALS_FOR_IMPORTANCE, Study, StudyTrial

MAX_ROWS, MAX_VALUES = 8, 8
MAX_TEXT_LINES = 16
MAX_ERRORS, MAX_NUMBERS, MAX_RUNNING = 3, 6, 8
MIN_LINES = 3
"""Complete trials from which on parallel coordinates show something."""
_ROW = "display:flex;flex-wrap:wrap;gap:8px 28px;align-items:flex-start"


def study_bundle(study: Study, importance: Mapping[str, float] | None = None) -> Bundle:
    """The current state of a search as text and as a card.

    Args:
        study: The search.
        importance: That of its parameters, if it is known already: it takes half a second.
    """
    trials, ranking = study.trials, study.ranking
    is_running = study.status == "running"
    if importance is None:
        is_known = len(ranking) >= MIN_TRIALS_FOR_IMPORTANCE
        importance = study.importance() if is_known else {}
    body = ""
    if is_running:
        ended = sum(trial.status in ("complete", "pruned", "failed") for trial in trials)
        body += bar_html(ended / study.target, label=f"{ended} of {study.target} trials")
        body += f'<div class="km-muted" style="margin-top:6px">{_running_text(study, trials)}</div>'
    if ranking:
        body += f'<div style="{_ROW};margin-top:8px">{_best_html(study, ranking[0])}'
        body += f'<div style="overflow-x:auto">{trials_html(study, trials)}</div></div>'
        body += _table_html(study, ranking)
    elif any(trial.value is not None for trial in trials):
        body += trials_html(study, trials)
    if importance:
        body += _importance_html(importance)
    if len(ranking) >= MIN_LINES:
        drawing = coordinates_html(study, ranking, importance)
        body += scroll_html(drawing, "Parallel coordinates", "margin-top:10px")
        body += _sentence(best_ranges(study, ranking))
    body += "".join(map(_sentence, [study.compare(), *_error_texts(study), *study.messages]))
    card = card_html(
        study.name,
        _facts(study, trials),
        with_drawings(body, ""),
        foot=_foot(study, trials, ranking),
        aside=_aside(study) if is_running else "",
    )
    return mime_bundle(study_text(study), card)


def study_text(study: Study) -> str:
    """The search as plain text: a summary, and the text of the best model."""
    parts = [repr(study)]
    if study.ranking:
        parts.append(study.text())
    parts += filter(None, [study.compare(), *_error_texts(study), *study.messages])
    return "\n\n".join(parts)


def study_line(study: Study) -> str:
    """The state of a running search in one line, for a terminal."""
    trials = study.trials
    return f"{_facts(study, trials)} · {_clock(study)} · {_running_text(study, trials)}"


def _facts(study: Study, trials: Sequence[StudyTrial]) -> str:
    counts = Counter(trial.status for trial in trials)
    ended = sum(counts[kind] for kind in ("complete", "pruned", "failed"))
    of = f" of {study.target:,}" if ended < study.target else ""
    parts = [f"search · {ended:,}{of} {'trial' if study.target == 1 else 'trials'}"]
    parts += [f"{counts[kind]:,} {kind}" for kind in ("pruned", "failed") if counts[kind]]
    if study.status not in ("running", "done"):
        parts.append(study.note or study.status)
    if study.status != "running" and not is_static():
        parts.append(f"{format_duration(study.seconds)} with {pluralize(study.workers, 'worker')}")
    return " · ".join(parts)


def _running_text(study: Study, trials: Sequence[StudyTrial]) -> str:
    """What the workers do: "running: trial 6 in epoch 3, trial 7 in epoch 1"."""
    running = [trial for trial in trials if trial.status == "running"]
    if not any(trial.epochs for trial in trials):
        return f"starting {pluralize(study.workers, 'worker')}"
    texts = [f"trial {trial.number:,} in epoch {trial.epochs + 1:,}" for trial in running]
    return f"running: {', '.join(texts[:MAX_RUNNING])}{', ...' * (len(texts) > MAX_RUNNING)}"


def _clock(study: Study) -> str:
    left = study.seconds_left
    elapsed = format_duration(study.elapsed)
    about = "" if left is None else f", about {format_approximate_duration(left)} left"
    return f"{elapsed}{about}"


def _aside(study: Study) -> str:
    stopping = "stopping" if study.stopping else _clock(study)
    return (
        f'<span class="km-muted km-number">{escape_html(stopping)}</span>'
        '<span class="km-study-stop"></span>'
    )


def _foot(study: Study, trials: Sequence[StudyTrial], ranking: Sequence[StudyTrial]) -> str:
    parts = []
    if ranking:
        strong = "the best trials" if len(best_trials(ranking)) > 1 else "the best trial"
        parts.append(f"orange: {strong}" if len(ranking) >= MIN_LINES else "")
    if any(trial.status == "pruned" for trial in trials):
        parts.append("small grey points: pruned trials")
    _, worst, outliers = goal_limits(study, trials)
    if outliers:
        side = "below" if study.is_maximized else "above"
        parts.append(f"{outliers:,} {side} {format_metric(worst)} at the end of the axis")
    if study.status != "running" and ranking:
        parts.append("`study.model(n)`, `study.text(n)`, `study.to_frame()`")
    return " · ".join(filter(None, parts))


def _best_html(study: Study, best: StudyTrial) -> str:
    text = study.text(best.number)
    figure = figure_html(
        f"best {escape_html(study.goal)} · trial {best.number:,}", format_metric(best.value or 0.0)
    )
    listing = code_html(text, "dsl", f"Text of trial {best.number}")
    if len(text.splitlines()) > MAX_TEXT_LINES:
        values = ", ".join(
            f"{name} {value_text(value)}" for name, value in study.used_values(best).items()
        )
        listing = _sentence(values) + details_html("the text of the model", listing)
    listing = f'<div style="margin-top:6px">{listing}</div>'
    return f'<div style="flex:1 1 280px;min-width:0">{figure}{listing}</div>'


def _table_html(study: Study, ranking: Sequence[StudyTrial]) -> str:
    names = [parameter.name for parameter in study.parameters][:MAX_VALUES]
    best, worst, _ = goal_limits(study, ranking)
    scale = (min(best, worst), max(best, worst))
    repeats = {n: v for n, v in study.repeats.items() if v}
    heads = ["trial", escape_html(study.goal), "by epoch", *map(_breakable_name, names), "epochs"]
    heads += ["further seeds"] if repeats else []
    rows = []
    for trial in ranking[:MAX_ROWS]:
        points = list(enumerate(trial.curves.get(study.goal, ()), 1))
        used = study.used_values(trial)
        value = format_metric(trial.value or 0.0)
        curve = sparkline_html((), points, alt=f"{study.goal} by epoch, best {value}", scale=scale)
        cells = [f"{trial.number:,}", value, curve]
        cells += [escape_html(value_text(used[name])) if name in used else "" for name in names]
        cells.append(f"{trial.epochs:,}")
        if repeats:
            cells.append(", ".join(map(format_metric, repeats.get(trial.number, ()))))
        rows.append(cells)
    title = '<div class="km-muted" style="margin-top:10px">best trials</div>'
    return title + scroll_html(table_html(heads, rows), "Best trials")


def _importance_html(importance: Mapping[str, float]) -> str:
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left;font-weight:400">{name_html(name, 32)}</th>'
        f'<td style="width:180px">{bar_html(share)}</td>'
        f"<td>{100 * share:.0f} %</td></tr>"
        for name, share in sorted(importance.items(), key=lambda item: -item[1])[:MAX_VALUES]
    )
    title = '<div class="km-muted" style="margin-top:10px">importance for the rank of a trial</div>'
    return f'{title}<table class="km-table" style="width:auto"><tbody>{rows}</tbody></table>'


def _error_texts(study: Study) -> list[str]:
    """The different reasons why trials failed, each with its trials."""
    alike: dict[str, list[int]] = {}  # apart from the numbers in their texts
    errors = {number: text.strip().split("\n")[0] for number, text in study.errors.items()}
    for number, text in errors.items():
        alike.setdefault(re.sub(r"\d+", "0", text), []).append(number)
    found = sorted(alike.values(), key=len, reverse=True)
    texts = [
        f"Failed: trial {list_names(numbers, MAX_NUMBERS)}; {errors[numbers[0]]}"
        for numbers in found[:MAX_ERRORS]
    ]
    more = len(found) - MAX_ERRORS
    return [*texts, f"{more:,} other errors: see study.errors."] if more > 0 else texts


def _breakable_name(name: str) -> str:
    return breakable_html(name_html(name)).replace(".", ".<wbr>")


def _sentence(text: str) -> str:
    return f'<div style="margin-top:8px">{message_html(text)}</div>' if text else ""
