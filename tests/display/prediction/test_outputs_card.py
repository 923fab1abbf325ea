"""The card of several outputs."""

from __future__ import annotations

import re

import numpy as np

from kmagic.evaluation.confusion.confusion import confusion
from kmagic.evaluation.prediction.output_results import OutputResults
from kmagic.evaluation.regression.errors_of import errors


def test_a_section_for_each_output() -> None:
    rng = np.random.default_rng(0)
    kinds, values = rng.integers(0, 3, (2, 60)), rng.normal(size=(2, 60))
    parts = {
        "kind": confusion(*kinds, name="net, kind"),
        "other": confusion(*kinds[::-1], name="net, other"),
        "size": errors(*values, name="net, size"),
    }
    results = OutputResults(parts, name="net", note="Left out: <b>.")
    bundle = results._repr_mimebundle_()
    html = bundle["text/html"]
    for part in ("net, kind", "net, other", "net, size", "3 outputs", "Left out: &lt;b&gt;."):
        assert part in html
    assert bundle["text/plain"] == repr(results)
    assert "The result is a dict of 'kind', 'other', 'size'." in bundle["text/plain"]
    sheets = re.findall("<style>.*?</style>", html, re.DOTALL)
    assert len(set(sheets)) == len(sheets)
    own = sum(len(part._repr_mimebundle_()["text/html"]) for part in parts.values())
    assert len(html) < own
