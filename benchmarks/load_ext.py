"""How long ``%load_ext kmagic`` keeps a user waiting, against ``import tensorflow``.

    python benchmarks/load_ext.py [ROUNDS]

Each time is of a fresh process; the two take turns. IPython's own start is not counted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

GOAL = 0.15

SHELL = """
import time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
started = time.perf_counter()
shell.run_line_magic("load_ext", "kmagic")
print(time.perf_counter() - started, flush=True)
import os
os._exit(0)  # do not wait for what starts in the background
"""

TENSORFLOW = """
import time
started = time.perf_counter()
import tensorflow
print(time.perf_counter() - started)
"""

PROGRAMS = {
    "%load_ext kmagic": (SHELL, {"KMAGIC_WARM": "1"}),
    "%load_ext kmagic, without the start in the background": (SHELL, {"KMAGIC_WARM": "0"}),
    "import tensorflow": (TENSORFLOW, {}),
}


def seconds(program: str, surroundings: dict[str, str]) -> float:
    """Run a program in a process of its own; it prints its time."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return float(done.stdout)


def main() -> None:
    """Take turns, then print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rounds", type=int, nargs="?", default=7)
    rounds = parser.parse_args().rounds
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    # The first round fills the disk's cache and the compiled files; it is not counted.
    for counted in range(rounds + 1):
        for name, (program, surroundings) in PROGRAMS.items():
            took = seconds(program, surroundings)
            if counted:
                times[name].append(took)

    slow = statistics.median(times["import tensorflow"])
    print(f"{rounds} rounds; median seconds, least to most, share of `import tensorflow`")
    for name, each in times.items():
        median = statistics.median(each)
        spread = f"{min(each):.3f} to {max(each):.3f}"
        print(f"  {median:7.3f}  ({spread})  {median / slow:6.3f}  {name}")
    took = statistics.median(times["%load_ext kmagic"])
    print(f"goal: at most {GOAL} s; {'met' if took <= GOAL else 'MISSED'} with {took:.3f} s")


if __name__ == "__main__":
    main()
