"""Available memory: that of the machine, within the limits of the container and the process."""

from __future__ import annotations

import pytest

from kmagic.support.memory import available_memory

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
