"""Figures as a reader wants them: the same number of digits everywhere, times as on a clock."""

from __future__ import annotations

import math
import re
import unicodedata
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MINUTE, HOUR = 60, 3600
UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def format_metric(value: float) -> str:
    """A measured value with about four digits that count.

    Example:
        >>> [format_metric(value) for value in (0.0806, 2.5, 1002.25, 0.0000123, float("nan"))]
        ['0.0806', '2.5000', '1,002.2', '1.23e-5', 'nan']
    """
    size = abs(value)
    if not math.isfinite(value):
        return str(float(value))
    if size == 0 or 1e-3 <= size < 10:
        return f"{value:.4f}"
    if size < 1e-3 or size >= 1e7:
        return format_power(value, 2)
    decimals = max(1, 4 - math.floor(math.log10(size)))
    return f"{value:,.{decimals}f}"


def format_value(value: float) -> str:
    """A value of a sample or a target, in four digits at most where it has more.

    Example:
        >>> [format_value(value) for value in (3, 29060.4, 0.123456, 2.0, 1.5e-7, float("nan"))]
        ['3', '29,060', '0.1235', '2', '1.5e-07', 'nan']
    """
    number = float(value)
    if math.isfinite(number) and (number.is_integer() or 1000 <= abs(number) < 1e9):
        return f"{number:,.0f}"
    return f"{number:.4g}"


def format_power(value: float, decimals: int) -> str:
    """A value by its power of ten, without the zeros that Python puts there.

    Example:
        >>> format_power(12000000.0, 2), format_power(0.000042, 1)
        ('1.20e7', '4.2e-5')
    """
    mantissa, exponent = f"{value:.{decimals}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def pluralize(value: int, one: str, many: str = "") -> str:
    """How many there are of something.

    Example:
        >>> pluralize(1, "epoch"), pluralize(54000, "sample")
        ('1 epoch', '54,000 samples')
    """
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def format_bytes(size: float) -> str:
    """A size in bytes, readable.

    Example:
        >>> format_bytes(2_403_240), format_bytes(12)
        ('2.4 MB', '12 bytes')
    """
    for unit, least in UNITS:
        if size >= least:
            return f"{size / least:.1f} {unit}"
    return f"{size:.0f} bytes"


def format_ago(seconds: float) -> str:
    """How long something is past, as one says it.

    Example:
        >>> format_ago(4), format_ago(200), format_ago(7300), format_ago(260_000)
        ('just now', '3 minutes ago', '2 hours ago', '3 days ago')
    """
    day = 24 * HOUR
    for length, name in ((day, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if seconds >= length:
            return f"{pluralize(int(seconds // length), name)} ago"
    return "just now"


def format_duration(seconds: float) -> str:
    """A time that has passed, as on a stop watch.

    Example:
        >>> format_duration(8.4), format_duration(754), format_duration(3725)
        ('0:08', '12:34', '1:02:05')
    """
    whole = max(0, int(seconds))
    hours, minutes = divmod(whole // MINUTE, MINUTE)
    if hours:
        return f"{hours}:{minutes:02d}:{whole % MINUTE:02d}"
    return f"{minutes}:{whole % MINUTE:02d}"


def format_approximate_duration(seconds: float) -> str:
    """A time still to come, no finer than anybody can know it.

    Example:
        >>> format_approximate_duration(7.2), format_approximate_duration(93), format_approximate_duration(4000)
        ('0:07', '1:35', '1:07:00')
    """
    grains = ((20, 1), (2 * MINUTE, 5), (10 * MINUTE, 15))
    grain = next((grain for limit, grain in grains if seconds < limit), MINUTE)
    return format_duration(math.ceil(max(seconds, 0.0) / grain - 0.2) * grain)


def format_seconds(value: float) -> str:
    """How long one thing took.

    Example:
        >>> format_seconds(0.0314), format_seconds(7.42), format_seconds(75.0)
        ('31 ms', '7.4 s', '1:15')
    """
    if value < 0.1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < MINUTE else format_duration(value)


def format_elapsed(value: float) -> str:
    """A time as on a stop watch, unless that is too coarse.

    Example:
        >>> format_elapsed(0.05), format_elapsed(0.5), format_elapsed(90)
        ('50 ms', '0.5 s', '1:30')
    """
    return format_seconds(value) if value < 1 else format_duration(value)


def parse_duration(text: str) -> float | None:
    """The seconds that a text means: "90", "90s", "2m", "1h30m"; None if it is no time.

    Example:
        >>> parse_duration("2m"), parse_duration("1h30m"), parse_duration("0.5s"), parse_duration("soon")
        (120.0, 5400.0, 0.5, None)
    """
    parts = re.fullmatch(r"(?:([\d.]+)h)?(?:([\d.]+)m(?:in)?)?(?:([\d.]+)s?)?", text.strip())
    if parts is None or not any(parts.groups()):
        return None
    try:
        hours, minutes, rest = (float(part or 0) for part in parts.groups())
    except ValueError:  # more than one point
        return None
    return hours * HOUR + minutes * MINUTE + rest


FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"

_STEERING = {"RLE", "RLO", "LRE", "LRO", "PDF", "RLI", "LRI", "FSI", "PDI"}
_RIGHT_TO_LEFT = {"R", "AL", "AN"}


def strip_control_characters(name: str) -> str:
    r"""A name without the signs that steer the line it stands in: breaks, turns, bells.

    Example:
        >>> strip_control_characters("a\nb"), strip_control_characters("\u202ecat")
        ('a b', 'cat')
    """
    return "".join(
        " " if unicodedata.category(sign) == "Cc" else sign
        for sign in name
        if unicodedata.bidirectional(sign) not in _STEERING
    )


def isolate_direction(name: str) -> str:
    """A plain name that cannot turn the words around it, if it runs from right to left.

    Example:
        >>> isolate_direction("cat"), isolate_direction("\u05d0") == "\u2068\u05d0\u2069"
        ('cat', True)
    """
    bare = strip_control_characters(name)
    if any(unicodedata.bidirectional(sign) in _RIGHT_TO_LEFT for sign in bare):
        return f"{FIRST_STRONG_ISOLATE}{bare}{POP_ISOLATE}"
    return bare


def shorten_name(name: str, most: int) -> str:
    """A name of at most ``most`` signs, with its middle left out; of a text, whole words.

    Example:
        >>> shorten_name("photos/2024/elephant.jpg", 15), shorten_name("the [UNK] of a great film", 16)
        ('photos/…ant.jpg', 'the … film')
    """
    if len(name) <= most:
        return name
    head = (most - 1) // 2
    start, end = name[:head], name[len(name) - (most - 1 - head) :]
    if not name[head].isspace():
        start = start[: _near(start, start.rfind(" ") + 1)]
    if not name[-len(end) - 1].isspace():
        end = end[::-1][: _near(end, len(end) - end.find(" ") if " " in end else 0)][::-1]
    return f"{start}…{end}"


def _near(part: str, place: int) -> int:
    """Where a part is cut: between two words, if that leaves the better part of it."""
    return place if 2 * place > len(part) else len(part)


def join_names(values: Sequence[str], most: int, *, more: bool = False) -> str:
    """Values with commas in at most ``most`` signs or a little more, none of them cut.

    Args:
        values: The values; the last ones are left out where they are too many.
        most: So many signs, if the first value alone is not longer.
        more: Whether there are more behind them.

    Example:
        >>> join_names(["1.554", "-0.4836", "1.028"], 15), join_names(["1", "2"], 15, more=True)
        ('1.554, -0.4836 ...', '1, 2 ...')
    """
    ends = list(accumulate(len(value) + 2 for value in values))
    kept = max(1, sum(end - 2 <= most for end in ends))
    said = ", ".join(values[:kept])
    return said + (" ..." if more or kept < len(values) else "")


def format_count(value: float) -> str:
    """A count with commas; a sum of weights keeps two digits behind the point.

    Example:
        >>> format_count(1009), format_count(12.5)
        ('1,009', '12.5')
    """
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.2f}".rstrip("0")
