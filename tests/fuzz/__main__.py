"""Fuzz kmagic: ``python -m tests.fuzz texts -n 1000 --seed 1 -j 2`` in the project's root."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from pathlib import Path

from .fuzzing import HEADING, Report, prepare_environment, run


def main() -> int:
    """Run the kinds, show each failure once with its number, and the table of counts."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("kinds", nargs="+", help="texts lines r models data braces, or all")
    parser.add_argument("-n", type=int, default=1000, help="inputs of each kind (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the inputs (default: 0)")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--save", type=Path, help="folder for the failing inputs")
    parser.add_argument("--print", action="store_true", help="print the inputs, run nothing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kmagic-fuzz-") as home:
        prepare_environment(Path(home))
        from .kinds import KINDS

        names = [*KINDS] if "all" in options.kinds else options.kinds
        unknown = [name for name in names if name not in KINDS]
        if unknown:
            parser.error(f"kinds are {', '.join(KINDS)}; got {', '.join(unknown)}")
        if options.print:
            return _print_inputs(names, options)
        reports = []
        for name in names:
            report = run(
                KINDS[name](),
                options.n,
                seed=options.seed,
                first=options.first,
                jobs=options.jobs,
                progress=_Progress(options.n),
            )
            reports.append(report)
            _show_failures(report, options.save)
    print(HEADING, *(report.row() for report in reports), sep="\n")
    return int(any(report.failures for report in reports))


def _print_inputs(names: list[str], options: argparse.Namespace) -> int:
    from .fuzzing import random_for
    from .kinds import KINDS

    for name in names:
        kind = KINDS[name]()
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            kind.set_up()
        for number in range(options.first, options.first + options.n):
            case = kind.generate(random_for(name, options.seed, number))
            print(f"--- {name} #{number}", ascii(case) if len(str(case)) > 5000 else case, sep="\n")
    return 0


class _Progress:
    """A line every ten seconds."""

    def __init__(self, count: int) -> None:
        self.count, self.shown = count, time.monotonic()

    def __call__(self, report: Report) -> None:
        now = time.monotonic()
        if now - self.shown > 10:
            self.shown = now
            done = report.counts.total()
            left = report.seconds / done * (self.count - done)
            text = f"{report.kind}: {done:,} of {self.count:,}, {report.counts['failed']} failed"
            print(f"{text}, {left / 60:.1f} min left", file=sys.stderr, flush=True)


def _show_failures(report: Report, folder: Path | None) -> None:
    failures = sorted(report.failures.items(), key=lambda item: -len(item[1]))
    for signature, outcomes in failures:
        first = min(outcomes, key=lambda outcome: len(outcome.case))
        numbers = " ".join(f"#{outcome.number}" for outcome in outcomes[:8])
        print(f"=== {report.kind}: {signature}, {len(outcomes)} times: {numbers}")
        again = f"--seed {report.seed} --first {first.number} -n 1"
        print(f"again: python -m tests.fuzz {report.kind} {again}")
        print(ascii(first.case) if not first.case.isprintable() else first.case)
        print("\n".join(first.details.splitlines()[-12:]), "\n", flush=True)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / f"{report.kind}-{report.seed}-{first.number}.txt"
            text = f"{signature}\n{first.details}\n{first.case}"
            file.write_text(text, encoding="utf-8", errors="surrogateescape")


if __name__ == "__main__":
    sys.exit(main())
