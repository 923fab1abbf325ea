from __future__ import annotations

import pytest

from kmagic.support.parsed_json import MAX_DEPTH, parse_json


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "[" * 300 + "]" * 300, '{"a":' * 300 + "1" + "}" * 300]
)
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Expecting value|nested more than|delimiter"):
        parse_json(text)


def test_what_is_not_too_deep_is_read() -> None:
    value = parse_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert value != []
    assert parse_json(b'{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}
