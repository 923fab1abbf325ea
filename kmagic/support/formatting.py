"""Numbers, sizes, durations and names as text for a reader."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import accumulate
from os.path import commonprefix
from typing import Any

MINUTE, HOUR = 60, 3600
MAX_SIDES = 16  # of a shape in a message
MAX_REPR = 200
"""Characters of a value in a message."""
UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def format_metric(value: float) -> str:
    """Format a metric with about four significant digits.

    Example:
        >>> [format_metric(value) for value in (0.0806, 2.5, 1002.25, 0.0000123, float("nan"))]
        ['0.0806', '2.5000', '1,002.2', '1.23e-5', 'nan']
    """
    size = abs(value)
    if not math.isfinite(value):
        return str(float(value))
    if size == 0 or 1e-3 <= size < 10:  # noqa: PLR2004 - where four decimals are enough
        return f"{value:.4f}"
    if size < 1e-3 or size >= 1e7:  # noqa: PLR2004 - too many digits without a power
        return format_power(value, 2)
    decimals = max(1, 4 - math.floor(math.log10(size)))
    return f"{value:,.{decimals}f}"


def format_value(value: float) -> str:
    """Format a feature or target value with at most four significant digits.

    Example:
        >>> [format_value(value) for value in (3, 29060.4, 0.123456, 2.0, 1.5e-7, float("nan"))]
        ['3', '29,060', '0.1235', '2', '1.5e-07', 'nan']
    """
    number = float(value)
    is_large = 1e3 <= abs(number) < 1e9  # noqa: PLR2004 - four digits before the point
    if math.isfinite(number) and (number.is_integer() or is_large):
        return f"{number:,.0f}"
    return f"{number:.4g}"


def format_power(value: float, decimals: int) -> str:
    """Format a value in scientific notation, without leading zeros in the exponent.

    Example:
        >>> format_power(12000000.0, 2), format_power(0.000042, 1)
        ('1.20e7', '4.2e-5')
    """
    mantissa, exponent = f"{value:.{decimals}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def pluralize(value: int, one: str, many: str = "") -> str:
    """Format a count with its noun.

    Example:
        >>> pluralize(1, "epoch"), pluralize(54000, "sample")
        ('1 epoch', '54,000 samples')
    """
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def format_bytes(size: float) -> str:
    """Format a size in bytes.

    Example:
        >>> format_bytes(2_403_240), format_bytes(12)
        ('2.4 MB', '12 bytes')
    """
    for unit, factor in UNITS:
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size:.0f} bytes"


def format_flops(count: int) -> str:
    """Format a number of floating-point operations with three digits.

    Example:
        >>> format_flops(27), format_flops(7_764_000_000)
        ('27 FLOPs', '7.76 GFLOPs')
    """
    for prefix, factor in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= 0.9995 * factor:
            return f"{_three_digits(count / factor)} {prefix}FLOPs"
    return f"{count} FLOPs"


def format_latency(seconds: float) -> str:
    """Format a measured time with three digits.

    Example:
        >>> format_latency(0.0000312), format_latency(0.0314), format_latency(7.424)
        ('0.0312 ms', '31.4 ms', '7.42 s')
    """
    if seconds >= 0.9995:  # noqa: PLR2004 - rounded, one second
        return f"{_three_digits(seconds)} s"
    return f"{_three_digits(1e3 * seconds)} ms"


def _three_digits(value: float) -> str:
    return f"{value:#.3g}".rstrip(".") if value < 999.5 else f"{value:,.0f}"  # noqa: PLR2004 - rounded


def format_ago(seconds: float) -> str:
    """Format the age of something, coarsely.

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
    """Format a duration as ``H:MM:SS`` or ``M:SS``.

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
    """Format an estimate of the remaining time, rounded up to a sensible step.

    Example:
        >>> [format_approximate_duration(seconds) for seconds in (7.2, 93, 4000)]
        ['0:07', '1:35', '1:07:00']
    """
    steps = ((20, 1), (2 * MINUTE, 5), (10 * MINUTE, 15))
    step = next((step for limit, step in steps if seconds < limit), MINUTE)
    return format_duration(math.ceil(max(seconds, 0.0) / step - 0.2) * step)


def format_seconds(value: float) -> str:
    """Format the duration of one step, such as an epoch.

    Example:
        >>> format_seconds(0.0314), format_seconds(7.42), format_seconds(75.0)
        ('31 ms', '7.4 s', '1:15')
    """
    if value < 0.1:  # noqa: PLR2004 - a tenth of a second
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < MINUTE else format_duration(value)


def format_elapsed(value: float) -> str:
    """Format a duration as ``M:SS``, and below one second with a unit.

    Example:
        >>> format_elapsed(0.05), format_elapsed(0.5), format_elapsed(90)
        ('50 ms', '0.5 s', '1:30')
    """
    return format_seconds(value) if value < 1 else format_duration(value)


def parse_duration(text: str) -> float | None:
    """Parse a duration such as "90", "90s", "2m" or "1h30m" to seconds; None if invalid.

    Example:
        >>> [parse_duration(text) for text in ("2m", "1h30m", "0.5s", "soon")]
        [120.0, 5400.0, 0.5, None]
    """
    number = r"(\d+\.?\d*|\.\d+)"
    pattern = rf"(?:{number}h)?(?:{number}m(?:in)?)?(?:{number}s?)?"
    parts = re.fullmatch(pattern, text.strip())
    if parts is None or not any(parts.groups()):
        return None
    hours, minutes, rest = (float(part or 0) for part in parts.groups())
    return hours * HOUR + minutes * MINUTE + rest


FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"

_RIGHT_TO_LEFT = {"R", "AL", "AN"}
_INVISIBLE_BUT_NEEDED = frozenset(
    "\u200c\u200d"  # join or separate letters and emoji
    "\u200e\u200f\u061c"  # marks of direction, which affect no other text
    f"{FIRST_STRONG_ISOLATE}{POP_ISOLATE}"  # of isolate_direction
)
_TAGS = range(0xE0000, 0xE0080)  # within emoji of flags


def escape_control_characters(text: str, keep: str = "\n\t") -> str:
    r"""Write invisible characters that can change a terminal or the surrounding text as escapes.

    These are control characters such as ESC, overrides of the text direction, spaces without
    width, line separators and lone surrogates. Escaping an escaped text changes nothing.

    Args:
        text: Text that may contain names of the user or of a file.
        keep: Control characters to keep; "" for a name, which is on one line.

    Example:
        >>> print(escape_control_characters("\x1b[31mred\u202e"))
        \x1b[31mred\u202e
        >>> escape_control_characters("caf\u00e9 \u732b") == "caf\u00e9 \u732b"
        True
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(character) if character not in keep else character for character in text)


def _escape(character: str) -> str:
    is_control = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    if not is_control or character in _INVISIBLE_BUT_NEEDED or ord(character) in _TAGS:
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def to_single_line(text: str) -> str:
    r"""A text of several lines on one line, its other control characters escaped.

    Example:
        >>> to_single_line("a\nb\tc")
        'a b c'
    """
    return escape_control_characters("".join(" " if c in "\n\r\t\v\f" else c for c in text), "")


def safe_repr(value: object) -> str:
    """The ``repr`` of a value of the user, shortened; its class may raise anything.

    Example:
        >>> len(safe_repr("a" * 5000))
        200
    """
    try:
        return shorten_name(repr(value), MAX_REPR)
    except Exception:  # noqa: BLE001 - an error message must not fail
        return f"<{type(value).__name__} object>"


def describe_error(error: BaseException) -> str:
    """The class and message of an exception that code of the user raised.

    Example:
        >>> describe_error(KeyError("a")), describe_error(ValueError())
        ("KeyError: 'a'", 'ValueError')
    """
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - it contains an object whose repr fails
        message = ""
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def isolate_direction(name: str) -> str:
    """A name within a text: escaped, and isolated if it is written from right to left.

    Example:
        >>> isolate_direction("cat"), isolate_direction("\u05d0") == "\u2068\u05d0\u2069"
        ('cat', True)
    """
    bare = "".join(c for c in name if c not in (FIRST_STRONG_ISOLATE, POP_ISOLATE))
    bare = escape_control_characters(bare, "")
    if any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in bare):
        return f"{FIRST_STRONG_ISOLATE}{bare}{POP_ISOLATE}"
    return bare


def shorten_name(name: str, limit: int) -> str:
    """Shorten a name to ``limit`` characters by leaving out its middle, at word boundaries.

    Example:
        >>> shorten_name("photos/2024/elephant.jpg", 15)
        'photos/…ant.jpg'
        >>> shorten_name("the [UNK] of a great film", 16)
        'the … film'
    """
    if len(name) <= limit:
        return name
    head = (limit - 1) // 2
    start, end = name[:head], name[len(name) - (limit - 1 - head) :]
    if not name[head].isspace():
        start = start[: _cut(start, start.rfind(" ") + 1)]
    if not name[-len(end) - 1].isspace():
        end = end[::-1][: _cut(end, len(end) - end.find(" ") if " " in end else 0)][::-1]
    return f"{start}…{end}"


def _cut(part: str, boundary: int) -> int:
    """Length to keep: up to the word boundary if that keeps more than half, else all."""
    return boundary if 2 * boundary > len(part) else len(part)


def shorten_names(names: Sequence[str], limit: int) -> list[str]:
    """Shorten names to ``limit`` characters so that different ones stay different.

    Names that :func:`shorten_name` would make equal keep the part in which they differ, or else
    get a number.

    Example:
        >>> shorten_names(["resnet_of_cat_photos", "resnet_of_dog_photos", "ant"], 10)
        ['…of_cat_p…', '…of_dog_p…', 'ant']
    """
    short = {name: shorten_name(name, limit) for name in names}
    for group in _equal_names(short):
        short |= _shorten_similar(group, limit)
    equal = [name for group in _equal_names(short) for name in group]
    for number, name in enumerate(equal, start=1):
        tag = f"…#{number}"
        short[name] = short[name][: max(0, limit - len(tag))] + tag
    return [short[name] for name in names]


def isolate_names(names: Sequence[str], limit: int) -> list[str]:
    """Names that belong together for a text: :func:`shorten_names`, each isolated."""
    return [isolate_direction(name) for name in shorten_names(names, limit)]


def text_width(text: str) -> int:
    """The columns that a text takes in a terminal: two for Chinese characters, none for accents.

    Example:
        >>> text_width("cat"), text_width("\u732b"), text_width("e\u0301")
        (3, 2, 1)
    """
    return sum(
        2
        if unicodedata.east_asian_width(character) in "WF"
        else unicodedata.category(character) not in ("Mn", "Me", "Cf")
        for character in text
    )


def _equal_names(short: dict[str, str]) -> list[list[str]]:
    """The names whose short forms are equal, in groups."""
    groups: dict[str, list[str]] = {}
    for name, text in short.items():
        groups.setdefault(text, []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _shorten_similar(names: Sequence[str], limit: int) -> dict[str, str]:
    """Shorten names to the part in which they differ, and as much around it as there is room."""
    start = len(commonprefix(names))  # noqa: RUF071 - of characters, not of paths
    end = len(commonprefix([name[start:][::-1] for name in names]))  # noqa: RUF071 - as above
    parts = [name[start : len(name) - end] for name in names]
    spare = limit - 2 - max(map(len, parts))
    if spare < 0:
        cut = "…" if start else ""
        rest = shorten_names(parts, limit - 1) if limit > 1 + len(cut) else parts
        return {name: f"{cut}{part}" for name, part in zip(names, rest, strict=True)}
    left = max(0, start - (spare + 1) // 2)
    short = {}
    for name in names:
        right = len(name) - end + spare // 2
        text = f"{'…' if left else ''}{name[left:right]}"
        short[name] = f"{text}…" if right < len(name) else text
    return short


def join_names(values: Sequence[str], limit: int, *, more: bool = False) -> str:
    """Join values by commas to about ``limit`` characters; no value is cut, the last are left out.

    ``more`` tells that there are further values, not given here.

    Example:
        >>> join_names(["1.554", "-0.4836", "1.028"], 15), join_names(["1", "2"], 15, more=True)
        ('1.554, -0.4836 ...', '1, 2 ...')
    """
    ends = list(accumulate(len(value) + 2 for value in values))
    fitting = max(1, sum(end - 2 <= limit for end in ends))
    dots = " ..." if more or fitting < len(values) else ""
    return ", ".join(values[:fitting]) + dots


def list_names(names: Iterable[object], limit: int = 8) -> str:
    """List the first ``limit`` names, and count the others.

    Example:
        >>> list_names(["a", "b", "c"]), list_names(range(1, 2000), 2)
        ('a, b, c', '1, 2 and 1,997 more')
    """
    texts = [str(name) for name in names]
    rest = f" and {len(texts) - limit:,} more" if len(texts) > limit else ""
    return ", ".join(texts[:limit]) + rest


def join_with_and(names: Sequence[str]) -> str:
    """Names in a sentence.

    Example:
        >>> join_with_and(["a", "b", "c"])
        'a, b and c'
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def format_shape(shape: Iterable[int | None]) -> str:
    """Write a shape as people do; an unknown side is a question mark.

    Example:
        >>> format_shape((28, 28, 1)), format_shape((None, 1024)), format_shape(())
        ('28 x 28 x 1', '? x 1,024', '')
    """
    sides = ["?" if side is None else f"{side:,}" for side in shape]
    more = f" ... ({len(sides):,} sides)" if len(sides) > MAX_SIDES else ""
    return " x ".join(sides[: MAX_SIDES // 2 if more else None]) + more


def format_output_shape(shape: Any) -> str:
    """Write a shape of Keras without its batch dimension; those of several outputs, with commas.

    Example:
        >>> format_output_shape((None, 28, 28, 1)), format_output_shape((None,))
        ('28 x 28 x 1', 'one number')
        >>> format_output_shape({"a": (None, 2), "b": (None, None, 3)})
        'a: 2, b: ? x 3'
    """
    if shape is None:
        return ""
    if isinstance(shape, dict):
        return ", ".join(f"{key}: {format_output_shape(item)}" for key, item in shape.items())
    if isinstance(shape, list) or (shape and isinstance(shape[0], list | tuple)):
        return ", ".join(map(format_output_shape, shape))
    return format_shape(shape[1:]) or "one number"


def format_count(value: float) -> str:
    """Format a count with thousands separators; a sum of weights with up to two decimals.

    Example:
        >>> format_count(1009), format_count(12.5)
        ('1,009', '12.5')
    """
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.2f}".rstrip("0")


def natural_sort_key(name: object) -> list[tuple[bool, int, str]]:
    """A key that sorts 2 before 10.

    Example:
        >>> sorted(["b10", "b9"], key=natural_sort_key)
        ['b9', 'b10']
    """
    key = []
    for part in re.split(r"(\d+)", str(name).casefold()):
        digits = part.lstrip("0") if part.isdecimal() else ""  # of any length, unlike an int
        key.append((part.isdecimal(), len(digits), digits or part))
    return key
