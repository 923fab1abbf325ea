"""``%keras_history``: the runs of the session, one of them again, or two compared."""

from __future__ import annotations

import re
from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand

from kmagic.magics.base import Family
from kmagic.magics.line_parser import Arguments, Line
from kmagic.support.suggestions import did_you_mean

HISTORY = Arguments(
    "%keras_history",
    "All training runs of this notebook; one of them again; or two compared.",
    "%keras_history\n%keras_history run\n%keras_history #1 #2 -o comparison",
)
HISTORY.option(
    "words",
    nargs="*",
    metavar="RUN",
    help="a run's name, made by %%keras_fit -o RUN, or its number in the table: #2",
)
HISTORY.result_options()
COMPARED = 2


@magics_class
class HistoryMagics(Family):
    """Looking back on training."""

    @no_var_expand
    @line_magic
    def keras_history(self, line: str) -> Any:
        """Show runs; ``%keras_history -h`` tells more."""
        read = self.read(HISTORY, line)
        if read is None:
            return None
        from kmagic.training.run.run_history import RunComparison, RunHistory, name_runs  # noqa: PLC0415 - not before it is asked

        known = name_runs(self.session.runs, self.session.names)
        if len(read.words) > COMPARED:
            read.fail("is one run too many: two can be compared", read.words[COMPARED])
        if not read.words and not known:
            read.fail("there is no run in this notebook yet", "", "Train a model: `%keras_fit`.")
        chosen = [self._run(read, word, known) for word in read.words]
        result: Any = RunHistory(known)
        if len(chosen) == 1:
            result = chosen[0]
        elif chosen:
            result = RunComparison(*chosen, names=(read.words[0], read.words[1]))
        return self.session.deliver(result, out=read.out, quiet=read.quiet)

    def _run(self, read: Line, word: str, known: dict[str, Any]) -> Any:
        """The run that a word means: by its number in the table, or by its name."""
        runs = self.session.runs
        place = re.fullmatch(r"#?(\d+)", word)
        if place:
            if not 1 <= int(place[1]) <= len(runs):
                there = f"There are {len(runs)}: see `%keras_history`."
                read.fail("there is no run of this number", word, there)
            return runs[int(place[1]) - 1]
        value, found = read.try_value(word)
        if not found:
            remedy = did_you_mean(word, known) or "Name one: `%keras_fit ... -o run`."
            read.fail("is no run of this notebook", word, remedy)
        if not hasattr(value, "history") or not hasattr(value, "log"):
            read.fail("is no training run", word, "`%keras_fit ... -o run` makes one.")
        return value
