"""``%keras_history``: the training runs of the notebook."""

from __future__ import annotations

import re
from typing import Any

from kmagic.magics.line_parser import LineParser, ParsedLine
from kmagic.magics.session import Session, magic
from kmagic.support.suggestions import did_you_mean

HISTORY = LineParser(
    "%keras_history",
    "Show all training runs of this notebook, one of them, two compared, or a search's trials.",
    "%keras_history\n%keras_history run\n%keras_history #1 #2 -o comparison\n%keras_history study",
)
HISTORY.argument(
    "RUN",
    "a variable set by %%keras_fit -o RUN, also with --folds, or a number of the table: #2",
)
HISTORY.result_options()
MAX_RUNS = 2


@magic(HISTORY)
def keras_history(session: Session, line: ParsedLine) -> Any:
    """Show training runs; ``%keras_history -h`` shows the options."""
    from kmagic.training.run.cross_validation import CrossValidation  # noqa: PLC0415 - not before it is needed
    from kmagic.training.run.run_history import RunComparison, RunHistory, name_runs  # noqa: PLC0415 - not before it is needed

    known, words = name_runs(session.runs, session.names), line.arguments
    if len(words) > MAX_RUNS:
        line.fail("unexpected: only two runs can be compared", words[MAX_RUNS])
    if not words and not known:
        line.fail("this notebook has no run yet", "", "Train a model: `%keras_fit`.")
    result: Any = RunHistory(known)
    value: Any = line.try_value(words[0])[0] if len(words) == 1 else None
    if isinstance(value, CrossValidation):
        result = RunHistory({value.label(each): each.run for each in value.results})
        return session.deliver(result, out=line.out, quiet=line.quiet)
    if hasattr(value, "optuna_study"):
        from kmagic.tuning.trial_history import trial_history  # noqa: PLC0415 - as above

        return session.deliver(trial_history(value), out=line.out, quiet=line.quiet)
    runs = [_run(session, line, word, known) for word in words]
    if len(runs) == 1:
        result = runs[0]
    elif runs:
        result = RunComparison(*runs, names=(words[0], words[1]))
    return session.deliver(result, out=line.out, quiet=line.quiet)


def _run(session: Session, line: ParsedLine, word: str, known: dict[str, Any]) -> Any:
    """A run by its number in the table, or by its variable."""
    runs = session.runs
    number = re.fullmatch(r"#?(\d{1,9})", word)
    if number:
        if not 1 <= int(number[1]) <= len(runs):
            remedy = f"There are {len(runs)}: see `%keras_history`."
            line.fail("there is no run with this number", word, remedy)
        return runs[int(number[1]) - 1]
    value, is_known = line.try_value(word)
    if not is_known:
        remedy = "Name a run when you train: `%keras_fit ... -o run`."
        line.fail("is not a run of this notebook", word, did_you_mean(word, known) or remedy)
    if not hasattr(value, "history") or not hasattr(value, "log"):
        line.fail("is not a training run", word, "`%keras_fit ... -o run` creates one.")
    return value
