"""Names are looked up where a magic or function is called: locals, enclosing functions, globals."""

import numpy as np
import pytest

import kmagic
from kmagic.magics.session import MAGICS
from kmagic.support.caller_names import caller_names
from kmagic.support.errors import KmagicError

from ..shells import run_cell, value_of

TEXT = "input 2 / dense {units} / compile sgd loss=mse"


def run(shell, cell):
    """Run a cell that must not fail, and return its value."""
    return value_of(shell, cell)[0]


def error_of(shell, cell):
    """The KmagicError of a cell that must fail."""
    result, _ = run_cell(shell, cell)
    assert isinstance(result.error_in_exec, KmagicError), result.error_in_exec
    return str(result.error_in_exec)


def ones(rows, units=1):
    return np.ones((rows, 2)), np.ones((rows, units))


@pytest.fixture
def notebook(shell):
    """A notebook with a model ``net`` of one unit, data ``X`` and ``y`` of 3 rows, and ``n``."""
    shell.user_ns.update(kmagic=kmagic, np=np, n=1, ones=ones, TEXT=TEXT)
    shell.user_ns["X"], shell.user_ns["y"] = ones(3)
    run(shell, "%%keras_model net -q\ninput 2 / dense {n} / compile sgd loss=mse")
    return shell


FIT = """
def train(X, y, epochs):
    net = kmagic.build(TEXT, units=4)
    run = %keras_fit net X y -e {epochs} -q
    return net, run
net_before = [w.copy() for w in net.get_weights()]
own, record = train(*ones(7, 4), 2)
"""


def test_a_function_trains_its_own_model_on_its_own_data(notebook):
    run(notebook, FIT)
    names = notebook.user_ns
    assert int(names["own"].optimizer.iterations) == 2
    assert len(names["record"].log) == 2
    assert all(map(np.array_equal, names["net"].get_weights(), names["net_before"]))
    assert names["record"] is not names.get("run")


LOCAL_N = {
    "function": "def f():\n    n = 5\n    return {magic}\nresult = f()",
    "default argument": "def f(n=5):\n    return {magic}\nresult = f()",
    "keyword only": "def f(*, n):\n    return {magic}\nresult = f(n=5)",
    "captured": "def f(n):\n    def g():\n        n\n        return {magic}\n    return g\n"
    "result = f(5)()",
    "enclosing": "def f(n):\n    def g():\n        return {magic}\n    return g()\nresult = f(5)",
    "method": "class A:\n    def f(self, n):\n        return {magic}\nresult = A().f(5)",
    "class body": "class A:\n    n = 5\n    r = {magic}\nresult = A.r",
    "comprehension": "result = [{magic} for n in [5]][0]",
    "comprehension in a function": "def f(n):\n    return [{magic} for _i in range(1)][0]\n"
    "result = f(5)",
    "lambda": "result = (lambda n: {magic})(5)",
    "generator": "def f(n):\n    yield {magic}\nresult = next(f(5))",
    "exec": "d = dict(n=5, get_ipython=get_ipython)\nexec({magic!r}.join(['r = ', '']), d)\n"
    "result = d['r']",
    "exec with locals": "d = dict(n=5)\nexec('r = ' + {magic!r}, globals(), d)\nresult = d['r']",
}
CALLS = {
    "cell": "get_ipython().run_cell_magic('keras_model', 'made -q', 'input 2 / dense {n}')",
    "build": "kmagic.build('input 2 / dense {n}')",
}


@pytest.mark.parametrize("place", LOCAL_N)
@pytest.mark.parametrize("call", CALLS)
def test_the_callers_variables_come_first(notebook, place, call):
    notebook.user_ns["kmagic"] = kmagic
    code = LOCAL_N[place].replace("d = dict(n=5", "d = dict(n=5, kmagic=kmagic")
    magic = CALLS[call]
    run(notebook, code.replace("{magic!r}", repr(magic)).replace("{magic}", magic))
    assert notebook.user_ns["result"].output_shape == (None, 5)
    run(notebook, f"again = {magic}")
    assert notebook.user_ns["again"].output_shape == (None, 1)


@pytest.mark.parametrize("value", ["None", "0", "''", "[]", "False"])
def test_an_empty_local_value_shadows_the_notebooks(notebook, value):
    notebook.user_ns["caller_names"] = caller_names
    code = f"def f(X):\n    return caller_names()['X']\nresult = f({value})"
    run(notebook, code)
    assert repr(notebook.user_ns["result"]) == value
    result, _ = run_cell(notebook, f"def f(X):\n    %keras_predict net X -q\nf({value})")
    assert not result.success


def test_names_that_a_function_does_not_have_are_the_notebooks(notebook):
    run(notebook, "def f(e):\n    r = %keras_fit net X y -e {e + n} -q\n    return r\nr = f(1)")
    assert len(notebook.user_ns["r"].log) == 2


OPTIONS = {
    "keras_fit": "net X y -q --sample-weight w",
    "keras_evaluate": "net X y -q",
    "keras_predict": "net X -q",
    "keras_confusion": "-q --true y --pred p",
    "keras_errors": "-q --true {y + 0.5} --pred p",
    "keras_compile": "net sgd loss={loss} -q",
    "keras_code": "net -q",
    "keras_history": "r -q",
    "keras_data": "{X} {y} -q",
    "keras_summary": "net",
    "keras_plot": "net",
    "keras_layers": "Own",
    "keras_cluster": "off",
    "keras_labels": "-q X y --probabilities {p * 0.5 + 0.1}",
    "keras_lr": "net X y -q --steps 20",
    "keras_save": "net {path} -q",
}
IN_A_FUNCTION = """
def f():
    net = kmagic.build('input 2 / dense 1 / compile sgd loss=mse')
    X, y, w = np.ones((5, 2)), np.arange(5) % 2, np.ones(5)
    p, loss, path = y, 'mae', PATH
    class Own(keras.layers.Layer):
        '''Mine.'''
    r = %keras_fit net X y -q
    out = get_ipython().run_line_magic(MAGIC, LINE)
    return out, locals()
out, own = f()
"""


@pytest.mark.parametrize("name", OPTIONS)
def test_every_line_magic_sees_local_variables_only(shell, tmp_path, name):
    import keras

    shell.user_ns.update(kmagic=kmagic, np=np, keras=keras, MAGIC=name, LINE=OPTIONS[name])
    shell.user_ns["PATH"] = str(tmp_path / "net.keras")
    run(shell, IN_A_FUNCTION)


def test_the_table_of_line_magics_is_complete():
    others = {"keras_model", "keras_tune", "keras_load", "keras_classify"}
    assert OPTIONS.keys() | others == MAGICS.keys()


def test_a_result_is_not_assigned_behind_a_local_variable(notebook):
    code = "def f():\n    run = None\n    %keras_fit net X y -q -o run\n    return run\nf()"
    message = error_of(notebook, code)
    assert "run is a variable of f" in message
    assert "run = %keras_fit" in message
    assert "run" not in notebook.user_ns
    run(notebook, code.replace("run = None\n    ", "").replace("-o run\n    return run", "-o run"))
    assert len(notebook.user_ns["run"].log) == 1


def test_a_cell_magic_does_not_build_behind_a_local_variable(notebook):
    code = "def f(net):\n    get_ipython().run_cell_magic('keras_model', 'net -q', 'input 2')\nf(1)"
    assert "net is a variable of f" in error_of(notebook, code)


def test_a_local_variable_without_a_value_is_not_the_notebooks(notebook):
    code = "def f():\n    %keras_predict net X -q\n    X = 1\nf()"
    assert "X is a local variable of f and has no value yet" in error_of(notebook, code)
    code = "def f():\n    kmagic.build('input 2 / dense {n}')\n    n = 1\nf()"
    assert "n is a local variable of f and has no value yet" in error_of(notebook, code)


def test_a_variable_of_a_function_that_has_returned_is_not_the_notebooks(notebook):
    code = "def f(X):\n    def g():\n        %keras_predict net X -q\n    return g\ng = f(1)\ng()"
    assert "X is a variable of f, which has returned" in error_of(notebook, code)
    code = "def f(n):\n    return lambda: kmagic.build('input 2 / dense {n}')\nf(1)()"
    assert "n is a variable of f, which has returned" in error_of(notebook, code)


def test_the_remedy_for_an_undefined_name_fits_where_it_is_used(notebook):
    message = error_of(notebook, "kmagic.build('input 2 / dense {missing}')")
    assert "pass it: kmagic.build(text, name=value)" in message
    message = error_of(notebook, "%%keras_model other\ninput 2 / dense {missing}")
    assert "Define it in a cell above." in message
    assert kmagic.build("input 2 / dense {missing}", missing=3).output_shape == (None, 3)


def test_the_current_model_of_a_function_is_its_own(notebook):
    code = """
def f():
    own = kmagic.build(TEXT, units=4)
    return %keras_predict X -q
"""
    code = code.replace("return %keras_predict X -q", "r = %keras_predict X -q\n    return r")
    assert run(notebook, code + "f()").shape == (3, 4)
    two = code.replace("own =", "other = kmagic.build('input 2 / dense 3')\n    own =")
    assert "several models can be meant" in error_of(notebook, two + "f()")
    shadowed = (
        "def f(net=None):\n    %keras_predict X -q\nother = kmagic.build('input 2 / dense 3')\n"
    )
    run(notebook, "%keras_predict net X -q")
    assert "several models can be meant" in error_of(notebook, shadowed + "f()")
    both = two.replace("r = %", "%keras_predict other X -q\n    r = %")
    assert run(notebook, both + "f()").shape == (3, 3)
    assert run(notebook, "%keras_predict X -q").shape == (3, 1)


def test_time_passes_the_function_on(notebook):
    code = "def f(X):\n    %time %keras_predict net X -q -o p\nf(X[:1])"
    run(notebook, code)
    assert notebook.user_ns["p"].shape == (1, 1)


def test_completion_uses_the_names_that_ipython_completes(notebook):
    def words(text):
        context = type("Context", (), {"full_text": text, "cursor_line": 0})
        context.cursor_position = len(text)
        (matcher,) = (
            m for m in notebook.Completer.custom_matchers if m.__name__ == "kmagic_matcher"
        )
        return [item.text for item in matcher(context)["completions"]]

    assert words("%keras_predict ne") == ["net"]
    local = kmagic.build("input 2 / dense 1")
    before = notebook.Completer.namespace
    notebook.Completer.namespace = {"nearest_model": local}
    try:
        assert set(words("%keras_predict ne")) == {"net", "nearest_model"}
    finally:
        notebook.Completer.namespace = before


def test_explicit_values_come_before_the_callers_variables():
    units = 3
    assert kmagic.build("input 2 / dense {units}", units=4).output_shape == (None, 4)
    assert kmagic.build("input 2 / dense {units}").output_shape == (None, units)


def test_a_default_variable_is_not_assigned_behind_a_local_one(notebook, tmp_path):
    notebook.user_ns["PATH"] = str(tmp_path / "net.keras")
    before = notebook.user_ns["net"]
    code = """
def f():
    %keras_save net {PATH} -q
def g():
    net = %keras_load {PATH} -q
    data = %keras_data {X} {y} -q
    return net, data
f()
loaded, rows = g()
"""
    run(notebook, code)
    assert notebook.user_ns["net"] is before
    assert notebook.user_ns["loaded"] is not before
    assert notebook.user_ns["rows"].x_train.shape[1:] == (2,)
    assert "data" not in notebook.user_ns


def test_coroutines_and_threads_see_their_own_variables(notebook):
    code = """
import asyncio
from concurrent.futures import ThreadPoolExecutor
async def f(n):
    return get_ipython().run_cell_magic('keras_model', 'made -q', 'input 2 / dense {n}')
def g(n):
    return kmagic.build('input 2 / dense {n}').output_shape
first = await f(4)
with ThreadPoolExecutor() as pool:
    others = list(pool.map(g, [2, 3]))
"""
    run(notebook, code)
    assert notebook.user_ns["first"].output_shape == (None, 4)
    assert notebook.user_ns["others"] == [(None, 2), (None, 3)]
