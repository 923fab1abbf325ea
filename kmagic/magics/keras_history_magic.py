"""``%keras_history``: the training runs of the session, one of them, or two compared."""

from __future__ import annotations

import re
from typing import Any

from IPython.core.magic import magics_class

from kmagic.magics.base import BaseMagics, magic
from kmagic.magics.line_parser import LineParser, ParsedLine
from kmagic.support.suggestions import did_you_mean

HISTORY = LineParser(
    "%keras_history",
    "Show all training runs of this notebook, one of them, or two compared.",
    "%keras_history\n%keras_history run\n%keras_history #1 #2 -o comparison",
)
HISTORY.option(
    "words",
    nargs="*",
    metavar="RUN",
    help="a variable set by %%keras_fit -o RUN, or a number of the table: #2",
)
HISTORY.result_options()
MAX_RUNS = 2


@magics_class
class HistoryMagics(BaseMagics):
    """The magic for training runs."""

    @magic(HISTORY)
    def keras_history(self, line: ParsedLine) -> Any:
        """Show training runs; ``%keras_history -h`` shows the options."""
        from kmagic.training.run.run_history import RunComparison, RunHistory, name_runs  # noqa: PLC0415 - not before it is needed

        known = name_runs(self.session.runs, self.session.names)
        if len(line.words) > MAX_RUNS:
            line.fail("unexpected: only two runs can be compared", line.words[MAX_RUNS])
        if not line.words and not known:
            line.fail("this notebook has no run yet", "", "Train a model: `%keras_fit`.")
        runs = [self._run(line, word, known) for word in line.words]
        result: Any = RunHistory(known)
        if len(runs) == 1:
            result = runs[0]
        elif runs:
            result = RunComparison(*runs, names=(line.words[0], line.words[1]))
        return self.session.deliver(result, out=line.out, quiet=line.quiet)

    def _run(self, line: ParsedLine, word: str, known: dict[str, Any]) -> Any:
        """A run by its number in the table, or by its variable."""
        runs = self.session.runs
        number = re.fullmatch(r"#?(\d+)", word)
        if number:
            if not 1 <= int(number[1]) <= len(runs):
                remedy = f"There are {len(runs)}: see `%keras_history`."
                line.fail("there is no run with this number", word, remedy)
            return runs[int(number[1]) - 1]
        value, is_known = line.try_value(word)
        if not is_known:
            remedy = (
                did_you_mean(word, known) or "Name a run when you train: `%keras_fit ... -o run`."
            )
            line.fail("is not a run of this notebook", word, remedy)
        if not hasattr(value, "history") or not hasattr(value, "log"):
            line.fail("is not a training run", word, "`%keras_fit ... -o run` creates one.")
        return value
