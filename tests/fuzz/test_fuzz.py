"""A hundred inputs of each kind; ``python -m tests.fuzz`` runs more, in processes of their own."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from .fuzzing import Kind, Outcome, random_for, run_input, shrink
from .kinds import KINDS

COUNTS = {"texts": 40, "lines": 25, "r": 60, "models": 30, "data": 60, "braces": 40}


@pytest.mark.parametrize("name", COUNTS)
def test_inputs_succeed_or_are_refused(name, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KMAGIC_DISPLAY", "static")
    kind = KINDS[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind.set_up()
        try:
            outcomes = [run_input(kind, 0, number) for number in range(COUNTS[name])]
        finally:
            kind.tear_down()
    failures = [(each.number, each.signature, each.case) for each in outcomes if is_failure(each)]
    assert failures == []
    assert {each.status for each in outcomes} == {"accepted", "refused"}


def is_failure(outcome: Outcome) -> bool:
    return outcome.status == "failed"


class Numbers(Kind):
    """Fails on texts that contain a 7."""

    name = "numbers"

    def generate(self, random) -> str:
        return "\n".join(str(random.randrange(10**6)) for _ in range(5))

    def use(self, case: str) -> None:
        if "7" in case:
            raise ZeroDivisionError


def test_an_input_depends_on_kind_seed_and_number_only() -> None:
    kind = Numbers()
    first = kind.generate(random_for("numbers", 1, 5))
    assert kind.generate(random_for("numbers", 1, 5)) == first
    assert kind.generate(random_for("numbers", 2, 5)) != first
    assert kind.generate(random_for("numbers", 1, 6)) != first


def test_failures_are_reported_and_made_smaller() -> None:
    kind = Numbers()
    outcomes = [run_input(kind, 0, number) for number in range(20)]
    failed = [each for each in outcomes if is_failure(each)]
    assert [each.case for each in failed] == [case for case in cases(kind) if "7" in case]
    assert "ZeroDivisionError" in failed[0].signature
    assert shrink(kind, failed[0].case, failed[0].signature) == "7"


def cases(kind: Kind) -> list[str]:
    return [kind.generate(random_for(kind.name, 0, number)) for number in range(20)]


def test_memory_beyond_the_limit_is_a_failure() -> None:
    class Large(Numbers):
        def use(self, case: str) -> None:
            bytearray(len(case) << 30)

    assert run_input(Large(), 0, 0).signature.startswith("MemoryError")


def test_the_kept_input_is_that_which_ran(tmp_path: Path) -> None:
    run_input(Numbers(), 0, 3, tmp_path / "current.txt")
    assert (tmp_path / "current.txt").read_text(encoding="utf-8") == cases(Numbers())[3]
