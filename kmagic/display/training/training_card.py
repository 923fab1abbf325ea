"""A training run as words and as a picture that stays: pure, from the record to text.

The picture is made twice. Where a notebook is trusted, the curves are inline SVG in the theme's
colours. Where it is not, JupyterLab takes away ``<style>`` and with it the rule that put them in
the place of images, which stay, in colours that can be read on white and on black.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

from kmagic.display.confusion import confusion_history_chart
from kmagic.display.kit import chart
from kmagic.display.kit.card import (
    Bundle,
    bar_html,
    card_html,
    escape_html,
    image_html,
    minified_css,
)
from kmagic.display.kit.card import mime_bundle as as_bundle
from kmagic.display.kit.chart import Chart, Curve
from kmagic.display.training import previous_runs
from kmagic.support.display_mode import is_static
from kmagic.support.downsampling import downsample
from kmagic.support.formatting import (
    format_approximate_duration,
    format_duration,
    format_metric,
    format_seconds,
    pluralize,
)
from kmagic.training.run.run_history import metrics_at_best

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kmagic.support.downsampling import Point
    from kmagic.training.run.training_run import Epoch, TrainingRun

MOST_FIGURES = 6
MOST_MESSAGES = 6
MOST_POINTS, BESIDE_MATRIX, LEAST_POINTS = 224, 96, 12
"""Of all curves together, the same where a matrix takes room as well; of each."""
MOST_COLUMNS = 6
"""With more, a row becomes a line that may break, where the page is narrow."""
MOST_NOTES = 8
FIRST_ROWS, LAST_ROWS = 2, 5
COURSE = 48
NOISY, YOUNG = 0.03, 0.1
"""Of an epoch's course, the part whose means are of too few batches: to draw, to scale by."""
WIDTHS = {1: 600, 2: 400, 3: 300, 4: 400}


def bundle(run: TrainingRun, *, times: bool = True) -> Bundle:
    """The run as it stands, in words and as a card of at most 40 KB, however long it was.

    Args:
        run: The record.
        times: False leaves out what differs from one run to the next on the same machine, as
            ``KMAGIC_DISPLAY=static`` always does.
    """
    times = times and not is_static()
    facts = run.describe(times=times)
    drawn = pictures(charts(run), confusion_history_chart.epoch_confusion_html(run.confusion))
    body = drawn + messages(run) + table(run, times=times)
    if run.status == "running":
        facts = facts.removeprefix("running: ")
        body = bar_html(run.progress, label=f"{100 * run.progress:.0f} % trained") + body
        facts += f" · {clock(run)}"
    markup = card_html(run.model_name, facts, body, foot=foot(run, times=times))
    text = [closing(run, times=times)]
    if run.confusion is not None and run.confusion.matrix is not None:
        text.append(run.confusion.describe())
    text += told(run) if times else []  # what is told depends on figures, which are not compared
    return as_bundle("\n".join(text), markup)


# --- words --------------------------------------------------------------------------------------


def heading(run: TrainingRun) -> str:
    """What is about to be trained: "cnn: 3 epochs of 844 batches, 54,000 samples"."""
    epochs = pluralize(run.epochs - run.initial_epoch, "epoch")
    steps = f" of {pluralize(run.steps, 'batch', 'batches')}" if run.steps else ""
    samples = f", {pluralize(run.samples, 'sample')}" if run.samples else ""
    return f"{run.model_name}: {epochs}{steps}{samples}"


def closing(run: TrainingRun, *, times: bool = True) -> str:
    """The run in one sentence with all figures of its best epoch, or of its last one.

    Args:
        run: The record.
        times: As for :meth:`~kmagic.training.run.training_run.TrainingRun.describe`.

    Example:
        >>> from kmagic.training.run.training_run import Epoch, TrainingRun
        >>> run = TrainingRun("cnn", epochs=1)
        >>> run.add(Epoch(1, {"accuracy": 0.9, "loss": 0.3, "val_loss": 0.4}, seconds=2.0))
        >>> run.status = "done"
        >>> closing(run, times=False)
        'cnn: 1 epoch; best epoch 1, val_loss 0.4000, loss 0.3000, accuracy 0.9000'
    """
    said = f"{run.model_name}: {run.describe(times=times)}"
    if run.best is None:
        return said
    logs = metrics_at_best(run)
    others = [key for key in columns(run, logs) if key != run.best.monitor]
    return ", ".join([said, *(f"{key} {format_metric(logs[key])}" for key in others)])


def line(epoch: Epoch, run: TrainingRun) -> str:
    """A finished epoch in one line, for a terminal or a log."""
    width = len(f"{run.epochs:,}")
    figures = "  ".join(
        f"{key} {format_metric(epoch.logs[key])}" for key in columns(run, epoch.logs)
    )
    return f"epoch {epoch.number:>{width},} of {run.epochs:,}  {figures}  {format_seconds(epoch.seconds)}"


def progress(run: TrainingRun) -> str:
    """Where a running training stands, in one line, for a terminal."""
    figures = [f"{key} {format_metric(run.now.logs[key])}" for key in columns(run, run.now.logs)]
    return "  ".join([run.where(), *figures[:2], clock(run)])


def clock(run: TrainingRun) -> str:
    """The time that has passed, and what is left: "0:48, about 0:10 left"."""
    passed = format_duration(run.now.elapsed)
    return (
        passed
        if run.now.left is None
        else f"{passed}, about {format_approximate_duration(run.now.left)} left"
    )


def foot(run: TrainingRun, *, times: bool = True) -> str:
    """What does not change, or hardly: the data's size, the rate, the speed."""
    parts = []
    if run.samples:
        size = f" in batches of {run.batch_size:,}" if run.batch_size else ""
        parts.append(pluralize(run.samples, "sample") + size)
    rates = [rate for rate in [*run.learning_rates, run.now.learning_rate] if rate is not None]
    if rates:
        first, last = f"{rates[0]:.4g}", f"{rates[-1]:.4g}"
        parts.append(
            f"learning rate {last}" if first == last else f"learning rate {first} to {last}"
        )
    if times and run.now.rate:
        parts.append(speed(run))
    hidden = len(run.metrics) - MOST_FIGURES
    if hidden > 0:
        parts.append(f"{pluralize(hidden, 'more figure')} in run.history")
    if grey := previous_runs.words(run):
        parts.append(grey)
    return " · ".join(parts)


def speed(run: TrainingRun) -> str:
    """How fast it trains: "1,540 samples/s"."""
    rate = run.now.rate or 0.0
    if run.batch_size:
        return f"{rate * run.batch_size:,.0f} samples/s"
    return f"{rate:,.1f} batches/s"


def told(run: TrainingRun) -> list[str]:
    """What happened beside the figures, a line each; the newest, if there are many."""
    newest = run.messages[-MOST_MESSAGES:]
    lines = [f"epoch {epoch:,}: {text}" if epoch else text for epoch, text in newest]
    if len(run.messages) > len(newest):
        lines.insert(0, f"{len(run.messages) - len(newest):,} earlier in run.messages")
    return lines


def messages(run: TrainingRun) -> str:
    """The same as an HTML list."""
    items = "".join(
        f'<div style="overflow-wrap:anywhere">{escape_html(line)}</div>' for line in told(run)
    )
    return f'<div style="margin:6px 0;font-size:12px">{items}</div>' if items else ""


# --- table --------------------------------------------------------------------------------------


def columns(run: TrainingRun, logs: Mapping[str, float] | None = None) -> list[str]:
    """The figures' names in the order of a table: each beside its validation."""
    known = set(logs) if logs is not None else {key for each in run.log for key in each.logs}
    names = [key for name in run.metrics[:MOST_FIGURES] for key in (name, f"val_{name}")]
    return [name for name in names if name in known]


def rows(run: TrainingRun, first: int = FIRST_ROWS, last: int = LAST_ROWS) -> list[Epoch | None]:
    """The epochs worth a row, the first, the best and the last; None stands for those between."""
    log = run.log
    kept = {*range(min(first, len(log))), *range(max(0, len(log) - last), len(log))}
    if best := run.best:
        kept.add(best.epoch - log[0].number)
    chosen: list[Epoch | None] = []
    before = min(kept, default=0) - 1
    for index in sorted(kept):
        if index == before + 2:
            chosen.append(log[index - 1])
        elif index > before + 1:
            chosen.append(None)
        chosen.append(log[index])
        before = index
    return chosen


def table(run: TrainingRun, *, times: bool = True) -> str:
    """The epochs as an HTML table; the best one is bold."""
    shown = rows(run)
    if not shown:
        return ""
    names = columns(run)
    best = run.best.epoch if run.best and run.best.monitor != "loss" else 0
    heads = ["epoch", *names, *(["time"] if times else [])]
    many = len(heads) > MOST_COLUMNS
    parts = ["".join(f'<th scope="col">{_breaking(head)}</th>' for head in heads)]
    for epoch in shown:
        if epoch is None:
            parts.append(f'<td>...</td><td colspan="{len(heads) - 1}"></td>')
            continue
        cells = row_cells(epoch, names)
        cells = cells if times else cells[:-1]
        strong = ' style="font-weight:600"' if epoch.number == best else ""
        parts.append("".join(f"<td{strong}>{cell}</td>" for cell in cells))
    body = "".join(f"<tr>{row}</tr>" for row in parts[1:])
    kind = "km-table km-many-columns" if many else "km-table"
    return (
        f'<div class="km-fit" style="overflow-x:auto"><table class="{kind}">'
        f"<thead><tr>{parts[0]}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _breaking(name: str) -> str:
    """A column's name, which may break behind what ties its words together."""
    return escape_html(name).replace("_", "_<wbr>")


def row_cells(epoch: Epoch, names: Sequence[str]) -> list[str]:
    """An epoch's row as text: its number, its figures, its time."""
    figures = [format_metric(epoch.logs[name]) if name in epoch.logs else "" for name in names]
    return [f"{epoch.number:,}", *figures, format_seconds(epoch.seconds)]


# --- curves -------------------------------------------------------------------------------------


def charts(run: TrainingRun) -> list[Chart]:
    """A chart for the loss and one for each of the first metrics, few points each."""
    names = run.metrics[: len(WIDTHS)]
    if not names or not (run.log or run.epoch_curves):
        return []
    most = MOST_POINTS if run.confusion is None else BESIDE_MATRIX
    room = max(LEAST_POINTS, most // (2 * len(names)))
    return [_chart(run, name, room) for name in names]


def axis(run: TrainingRun) -> tuple[int, float]:
    """From which epoch to which the curves' axis goes."""
    # One finished epoch is a point and no curve: then its inner course is worth the room.
    start = run.initial_epoch + (1 if len(run.log) > 1 else 0)
    running = run.status == "running"
    done = run.now.epoch if running else _reached(run)
    asked = run.epochs if running else math.ceil(done)
    return start, chart.axis_end(done, asked, run.initial_epoch)


def _reached(run: TrainingRun) -> float:
    """How far the curves of a run that has ended go, in epochs."""
    if run.log:
        return run.log[-1].number
    return max((points[-1][0] for points in _tails(run).values() if points), default=0.0)


def _tails(run: TrainingRun) -> dict[str, list[Point]]:
    return {key: series.points() for key, series in run.epoch_curves.items()}


def _chart(run: TrainingRun, name: str, room: int) -> Chart:
    start, end = axis(run)
    trained, checked = run.curve(name), run.curve(f"val_{name}")
    opening = _steady(run.first_epoch_curves.get(name, [])) if len(run.log) == 1 else []
    tail = _steady(_tails(run).get(name, []))
    if not trained:
        tail = tail or _tails(run).get(name, [])
    if is_static() and trained:  # the moments that were looked at are never the same
        opening, tail = [], []
    calm = [y for x, y in (*opening, *tail) if x % 1 > YOUNG]
    scale = calm + [y for _, y in (*trained, *checked)]
    notes = sorted({epoch for epoch, _ in run.messages[-MOST_NOTES:]})
    before = previous_runs.of(run, name)
    scale += previous_runs.reach(scale, before, end)
    course = downsample([*opening[:-1], *trained[-1:], *tail], COURSE)
    label = "training" if checked else ""
    lines = [
        *(Curve("ghost", downsample(points, room // (3 * len(before)))) for points in before),
        Curve("course", course, label if tail else ""),
        Curve("train", downsample(trained, room), "" if tail else label),
    ]
    if checked:
        lines.append(Curve("val", downsample(checked, room), "validation"))
    return Chart(name, lines, start, end, mark(run, name), scale, notes)


def _steady(course: Sequence[Point]) -> list[Point]:
    """What is left of an epoch's course without the means of its first few batches."""
    return [point for point in course if (point[0] % 1 or 1.0) > NOISY]


def mark(run: TrainingRun, name: str) -> tuple[float, str] | None:
    """The best epoch and its figure, for the hairline of a chart."""
    best = run.best
    if best is None or best.monitor == "loss":
        return None
    value = run.log[best.epoch - run.log[0].number].logs.get(f"val_{name}")
    if value is None:
        return None
    word = "best " if best.monitor == f"val_{name}" else ""
    return best.epoch, word + format_metric(value)


def pictures(shown: Sequence[Chart], beside: str = "") -> str:
    """Up to four charts in a row, each twice: as the theme's drawing and as an image.

    Args:
        shown: The charts.
        beside: HTML that stands behind them in the row.
    """
    if not shown:
        return ""
    width = WIDTHS[len(shown)]
    drawn = []
    for each in shown:
        inline = chart.chart_svg(each, width=width)
        alone = chart.standalone_chart_svg(each, width=width).encode()
        picture = image_html(
            alone, "image/svg+xml", alt=chart.chart_to_text(each), width=width, height=chart.HEIGHT
        )
        drawn.append(
            f'<div style="flex:1 1 280px;max-width:{width}px">'
            f'<span class="km-drawn" style="display:none">{inline}</span>'
            f'<span class="km-bare">{picture}</span></div>'
        )
    inside = "".join(drawn)
    # The rules that change image for drawing are for this card alone: another, which is not
    # trusted, may stand in the same page.
    key = "km-" + hashlib.sha256(inside.encode()).hexdigest()[:10]
    return (
        f"<style>{minified_css('chart.css')}.{key} .km-bare{{display:none}}"
        f".{key} .km-drawn{{display:block!important}}</style>"
        f'<div class="{key}" style="display:flex;flex-wrap:wrap;gap:6px 18px;margin:6px 0">'
        f"{inside}{beside}</div>"
    )
