"""Expressions in braces keep their meaning in the program."""

from __future__ import annotations

import ast

from kmagic.models.codegen.expression_source import expression_code

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


def test_expression_keeps_its_meaning() -> None:
    for before in EXPRESSIONS:
        after = expression_code(before, str)
        assert ast.dump(ast.parse(before)) == ast.dump(ast.parse(after))
        operand = expression_code(before, str, is_operand=True)
        assert ast.dump(ast.parse(f"({before}).x")) == ast.dump(ast.parse(f"{operand} .x"))
    assert expression_code("[1,'x',\"it's\"]", str) == "[1, 'x', \"it's\"]"


def test_names_are_renamed_as_in_the_program() -> None:
    assert (
        expression_code("layers * n", {"layers": "layers_", "n": "n"}.__getitem__) == "layers_ * n"
    )
