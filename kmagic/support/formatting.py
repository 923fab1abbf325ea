"""Figures as a reader wants them: the same number of digits everywhere, times as on a clock."""

from __future__ import annotations

import math
import re

MINUTE, HOUR = 60, 3600
UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def number(value: float) -> str:
    """A measured value with about four digits that count.

    Example:
        >>> [number(value) for value in (0.0806, 2.5, 1002.25, 0.0000123, float("nan"))]
        ['0.0806', '2.5000', '1,002.2', '1.23e-5', 'nan']
    """
    size = abs(value)
    if not math.isfinite(value):
        return str(float(value))
    if size == 0 or 1e-3 <= size < 10:  # noqa: PLR2004 - the bounds of each form, said once
        return f"{value:.4f}"
    if size < 1e-3 or size >= 1e7:  # noqa: PLR2004 - as above
        return power(value, 2)
    decimals = max(1, 4 - math.floor(math.log10(size)))
    return f"{value:,.{decimals}f}"


def figure(value: float) -> str:
    """A value of a sample or a target, in four digits at most where it has more.

    Example:
        >>> [figure(value) for value in (3, 29060.4, 0.123456, 2.0, 1.5e-7, float("nan"))]
        ['3', '29,060', '0.1235', '2', '1.5e-07', 'nan']
    """
    number = float(value)
    if math.isfinite(number) and (number.is_integer() or 1000 <= abs(number) < 1e9):  # noqa: PLR2004 - four digits are enough
        return f"{number:,.0f}"
    return f"{number:.4g}"


def power(value: float, decimals: int) -> str:
    """A value by its power of ten, without the zeros that Python puts there.

    Example:
        >>> power(12000000.0, 2), power(0.000042, 1)
        ('1.20e7', '4.2e-5')
    """
    mantissa, exponent = f"{value:.{decimals}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def count(value: int, one: str, many: str = "") -> str:
    """How many there are of something.

    Example:
        >>> count(1, "epoch"), count(54000, "sample")
        ('1 epoch', '54,000 samples')
    """
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def memory(size: float) -> str:
    """A size in bytes, readable.

    Example:
        >>> memory(2_403_240), memory(12)
        ('2.4 MB', '12 bytes')
    """
    for unit, least in UNITS:
        if size >= least:
            return f"{size / least:.1f} {unit}"
    return f"{size:.0f} bytes"


def ago(seconds: float) -> str:
    """How long something is past, as one says it.

    Example:
        >>> ago(4), ago(200), ago(7300), ago(260_000)
        ('just now', '3 minutes ago', '2 hours ago', '3 days ago')
    """
    day = 24 * HOUR
    for length, name in ((day, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if seconds >= length:
            return f"{count(int(seconds // length), name)} ago"
    return "just now"


def duration(seconds: float) -> str:
    """A time that has passed, as on a stop watch.

    Example:
        >>> duration(8.4), duration(754), duration(3725)
        ('0:08', '12:34', '1:02:05')
    """
    whole = max(0, int(seconds))
    hours, minutes = divmod(whole // MINUTE, MINUTE)
    if hours:
        return f"{hours}:{minutes:02d}:{whole % MINUTE:02d}"
    return f"{minutes}:{whole % MINUTE:02d}"


def about(seconds: float) -> str:
    """A time still to come, no finer than anybody can know it.

    Example:
        >>> about(7.2), about(93), about(4000)
        ('0:07', '1:35', '1:07:00')
    """
    grains = ((20, 1), (2 * MINUTE, 5), (10 * MINUTE, 15))
    grain = next((grain for limit, grain in grains if seconds < limit), MINUTE)
    return duration(math.ceil(max(seconds, 0.0) / grain - 0.2) * grain)


def seconds(value: float) -> str:
    """How long one thing took.

    Example:
        >>> seconds(0.0314), seconds(7.42), seconds(75.0)
        ('31 ms', '7.4 s', '1:15')
    """
    if value < 0.1:  # noqa: PLR2004 - below a tenth of a second, thousandths are what counts
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < MINUTE else duration(value)


def stop_watch(value: float) -> str:
    """A time as on a stop watch, unless that is too coarse.

    Example:
        >>> stop_watch(0.05), stop_watch(0.5), stop_watch(90)
        ('50 ms', '0.5 s', '1:30')
    """
    return seconds(value) if value < 1 else duration(value)


def time_of(text: str) -> float | None:
    """The seconds that a text means: "90", "90s", "2m", "1h30m"; None if it is no time.

    Example:
        >>> time_of("2m"), time_of("1h30m"), time_of("0.5s"), time_of("soon")
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
