"""Available memory: that of the machine, within the limits of the container and the process."""

from __future__ import annotations

import pytest

from kmagic.support.errors import DataError
from kmagic.support.memory import available_memory, fits_memory

resource = pytest.importorskip("resource")  # not on Windows


@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_a_limit_of_the_process_counts(limit) -> None:
    number = getattr(resource, limit)
    soft, hard = resource.getrlimit(number)
    before = available_memory()
    assert before is not None
    resource.setrlimit(number, (1000, hard))  # less than is used
    try:
        within = available_memory()
    finally:
        resource.setrlimit(number, (soft, hard))
    assert within == 0 < before


def test_a_limit_for_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KMAGIC_MEMORY_LIMIT", "0.1 kB")
    assert available_memory() == 0
    assert not fits_memory(1)
    monkeypatch.setenv("KMAGIC_MEMORY_LIMIT", "900T")
    assert fits_memory(1000)
    monkeypatch.setenv("KMAGIC_MEMORY_LIMIT", "much")
    with pytest.raises(DataError, match="must be a size such as 4GB; got 'much'"):
        available_memory()
