from __future__ import annotations

import re

import pytest

from kmagic.display.kit.highlighting import code_html, model_text_html, python_html

TEXT = """block res(n):
  x = conv2d n 3x3 relu / dropout 0.5
  add <- _, x
input 28x28x1
res 8 * 3
bidirectional(lstm 32 "<b>")
compile adam"""


def test_the_word_of_every_layer_is_marked() -> None:
    words = re.findall(r'<span class="km-code-layer">(.*?)</span>', model_text_html(TEXT))
    assert words == ["conv2d", "dropout", "add", "res", "bidirectional", "lstm"]


@pytest.mark.parametrize("text", [TEXT, "dense 4 <<", "", "a\x1b"])
def test_a_marked_text_is_the_text(text: str) -> None:
    for markup in (model_text_html(text), python_html(text)):
        shown = re.sub(r"</?span[^>]*>", "", markup)
        assert shown.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"') == (
            text.replace("\x1b", r"\x1b")
        )


def test_python_is_marked_by_kind() -> None:
    markup = python_html("import keras\nn = 3  # 'x'\ns = 'a'\n")
    assert '<span class="km-code-layer">import</span>' in markup
    assert '<span class="km-code-number">3</span>' in markup
    assert '<span class="km-code-comment"># &#x27;x&#x27;</span>' in markup
    assert '<span class="km-code-string">&#x27;a&#x27;</span>' in markup


def test_the_listing_can_be_copied_and_scrolled() -> None:
    markup = code_html("dense 4", "dsl", "Text of <net>")
    assert 'aria-label="Text of &lt;net&gt;"' in markup
    assert 'tabindex="0"' in markup
    # Only a trusted notebook keeps the handler, and the style sheet shows the button by it.
    assert 'class="km-copy" style="display:none" onclick=' in markup
