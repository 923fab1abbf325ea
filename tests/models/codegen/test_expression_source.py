"""Expressions in braces keep their meaning in the program, and are formatted."""

from __future__ import annotations

import ast

from kmagic.models.codegen.expression_source import expression_code

from ...ruff_format import ruff_formatted

EXPRESSIONS = """\
a//b
-a**2
(-a)**2
2**-n
a**b.c
a[0]**2
a**b**c
(a**b)**c
(a+b)*c
a-(b-c)
-(a+b)
a[1:2]
a[i+1:]
a[i+1::2]
a[b.c:3]
a[:,0]
x.shape[1:]
(a if b else c)+1
not a and b or c
not (a or b)
a<b<=c
(a == b) == c
a is not None
(1,)
[1,'x',"it's"]
{'a':1}['a']
(5).real
a|b&c
a @ b
"block_%d" % i""".splitlines()


def test_expression_keeps_its_meaning_and_is_formatted() -> None:
    printed = [expression_code(expression, str) for expression in EXPRESSIONS]
    for before, after in zip(EXPRESSIONS, printed, strict=True):
        assert ast.dump(ast.parse(before)) == ast.dump(ast.parse(after))
    source = "".join(f"x = {expression}\n" for expression in printed)
    assert ruff_formatted(source) == source


def test_names_are_renamed_as_in_the_program() -> None:
    assert (
        expression_code("layers * n", {"layers": "layers_", "n": "n"}.__getitem__) == "layers_ * n"
    )
