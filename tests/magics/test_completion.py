from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from jupyter_client.manager import start_new_kernel

from kmagic.api import build
from kmagic.magics.completion import candidates
from kmagic.magics.completion import completer as magic_completion
from kmagic.magics.completion.candidates import complete
from kmagic.magics.completion.completer import match
from kmagic.magics.completion.cursor_position import locate, scope_at
from kmagic.magics.completion.line_candidates import complete_line
from kmagic.magics.session import Session
from kmagic.models import catalogue
from kmagic.support import keras_import

NAMES = {"width": 64, "cfg": types.SimpleNamespace(units=3), "np": np, "_hidden": 1, "In": []}


def texts(text: str, names: dict[str, Any] | None = None) -> list[str]:
    """What can stand at the ``|`` of a text."""
    before, _, after = text.partition("|")
    found = complete(before + after, len(before), NAMES if names is None else names)
    assert len({each.start for each in found}) <= 1
    return [each.text for each in found]


def applied(text: str) -> list[str]:
    """The text before the cursor with each completion put in."""
    return [text[: each.start] + each.text for each in complete(text, len(text), NAMES)]


# --- the pure function ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        # layers, blocks, the language's words
        ("con|", ["conv2d", "concatenate"]),
        ("input 4 / den|", ["dense"]),
        ("h = den|", ["dense"]),
        ("branch: den|", ["dense"]),
        ("max|", ["maxpool", "max_pooling2d", "maximum"]),
        ("batchn|", ["batch_normalization", "batchnorm"]),
        ("resid|", ["residual"]),
        ("gel|", ["gelu"]),
        ("merge con|", ["concatenate"]),
        ("block res(f):\n  dense {f}\nre|", ["res", "repeat", "residual"]),
        ("model enc:\n  input 4\n  dense 2\nen|", ["enc"]),
        ("ops.max|", ["ops.maximum", "ops.max_pool"]),
        ("model big |", ["sequential", "functional"]),
        # arguments
        ("conv2d 32 3x3 kernel_r|", ["kernel_regularizer="]),
        ("conv2d 32 3x3 s|", ["same", "selu", "strides="]),
        ("dense 8 |", ["relu", "kernel_initializer=", "!use_bias"]),
        ("conv2d 8 3x3 !|", ["!use_bias"]),
        ("lstm 8 ret|", ["return_sequences", "return_state"]),
        ("bidirectional(|", ["lstm"]),
        ("bidirectional(ls|", ["lstm"]),
        ("bidirectional(lstm 32 ret|", ["return_sequences"]),
        ("bidirectional(lstm 32, mer|", ["merge_mode="]),
        ("rnn([lstm_cell 3, gru|", ["gru_cell"]),
        ("merge concatenate ax|", ["axis="]),
        ("block res(f, s=1):\n  dense {f}\nres 4 |", ["f=", "s="]),
        ("normalization ad|", ["adapt="]),
        ("input 28x28 u|", ["uint8"]),
        # values
        ("dense 8 kernel_initializer=he|", ["he_normal", "he_uniform"]),
        ("dense 8 kernel_regularizer=|", ["l2", "none"]),
        ("dense 8 kernel_regularizer=l2(|", ["l2="]),
        ("dense 8 kernel_constraint=max|", ["max_norm"]),
        ("dense 8 activation=re|", ["relu", "relu6"]),
        ("dense 8 use_bias=|", ["true", "false"]),
        ("dense 8 dtype=mixed|", ["mixed_float16"]),
        ("conv2d 8 3 padding=|", ["valid", "same"]),
        ("conv1d 8 3 padding=|", ["causal"]),
        ("upsample interpolation=|", ["nearest", "bilinear"]),
        ("bidirectional(lstm 4, merge_mode=|", ["concat", "ave"]),
        ("compile |", ["adam", "sgd"]),
        ("compile ad|", ["adam", "adamw"]),
        ("compile adam lo|", ["loss=", "loss_weights="]),
        ("compile adam loss=spa|", ["sparse_categorical_crossentropy"]),
        ("compile adam metrics=acc|", ["accuracy"]),
        ("compile adam metrics=accuracy,m|", ["mae", "mean_squared_error"]),
        ("compile adam metrics=[accuracy, au|", ["auc"]),
        ("compile adam(lea|", ["learning_rate="]),
        ("compile adam(cosine_decay(dec|", ["decay_steps="]),
        ("compile adam(learning_rate=cos|", ["cosine_decay"]),
        ("compile adam loss=huber(|", ["delta="]),
        ("compile adam loss={cls: spa|", ["sparse_categorical_crossentropy"]),
        # names
        ("dense {|", ["width", "cfg", "np"]),
        ("dense {wi|", ["width"]),
        ("dense {cfg.|", ["cfg.units"]),
        ("dense {2 * cfg.u|", ["cfg.units"]),
        ("dense kernel_initializer=he_normal(seed={wi|", ["width"]),
        ("block res(f, s=1):\n  conv2d {|", ["f", "s", "width"]),
        ("for f in 3 4:\n  dense {|", ["f"]),
        ("a = input 4\nb = input 4\nadd <- a, |", ["b", "a", "_"]),
        ("a = input 4\nresidual:\n  dense 4\n  add <- |", ["_in", "a"]),
        ("lstm 3 <- _, tr|", ["training="]),
        ("dropout 0.1 <- _, training=|", ["true", "false"]),
        ("h = input 3\nlstm 3 <- _, initial_state=[|", ["h"]),
        ("a = dense 3\nreuse |", ["a"]),
        ("a = dense 3\nfreeze |", ["a"]),
        ("a = dense 3\nunfreeze |", ["a"]),
        ("a = dense 3\nunf|", ["unfreeze"]),
        ("compile adam(learning_rate=one|", ["one_cycle"]),
        ("compile adam(one_cycle(0.1, st|", ["steps="]),
        ("a = dense 3\noutput |", ["a"]),
        ("model m:\n  input 3\n  dense 2\ntime_distributed(&|", ["m"]),
        # in the midst of a text
        ("dense 8 re|\ndense 3", ["relu"]),
        ("dense 8 kernel_initializer=he| relu", ["he_normal"]),
    ],
)
def test_completions(text: str, wanted: list[str]) -> None:
    found = texts(text)
    assert not set(wanted) - set(found), found


@pytest.mark.parametrize(
    ("text", "unwanted"),
    [
        ("dense 8 use_bias=false |", ["use_bias=", "!use_bias"]),
        ("conv2d 8 3 same |", ["valid"]),
        ("dense 8 relu |", ["tanh"]),
        ("dense {|", ["_hidden", "In"]),
        ("dense <- |", ["_in"]),
        ("block b(f):\n  t = dense {f}\nadd <- |", ["t"]),
        ("t = input 3\nblock b(f):\n  dense {f} <- |", ["t"]),
        ("h = dense |", ["dense"]),
        ("conv2d 8 3 padding=|", ["causal"]),
        ("compile |", ["dense"]),
    ],
)
def test_excluded_completions(text: str, unwanted: list[str]) -> None:
    assert not set(unwanted) & set(texts(text))


@pytest.mark.parametrize(
    "text", ["# den|", "dense 3 # re|", 'dense 3 name="re|', "for |", "block re|", "dense 3 * |"]
)
def test_no_completions_for_new_names_strings_and_comments(text: str) -> None:
    assert texts(text) == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("va", "vary"),
        ("vary n = 1..2\ndense {", "n"),
        ("dense 8 relu|ge", "gelu"),
        ("compile adam|sg", "sgd"),
        ("dense 8 | dro", "dropout"),
        ("dense 8 activation=relu|ta", "tanh"),
        ("lstm|gru 8 return_seq", "return_sequences"),
    ],
)
def test_completions_in_a_search(text: str, wanted: str) -> None:
    assert wanted in [item.text for item in complete(text, len(text), {}, ranges=True)]


def test_vary_belongs_to_a_search() -> None:
    assert "vary" not in [item.text for item in complete("va", 2, {})]


def test_common_words_come_first() -> None:
    found = texts("|")
    assert found.index("dense") < found.index("activation")
    assert texts("block res(f):\n  dense {f}\nre|")[0] == "res"
    assert [texts(f"{start}|")[0] for start in ("ma", "l", "co", "em")] == [
        *("maxpool", "lstm", "conv2d", "embedding")
    ]
    assert texts("dense 8 dtype=|")[0] == "bfloat16"


def summary(text: str, word: str) -> str:
    return next(each.summary for each in complete(text, len(text), NAMES) if each.text == word)


def test_a_line_of_documentation_stands_beside_each_word() -> None:
    assert summary("ma", "maxpool") == "Max pooling operation for 2D spatial data"
    assert summary("ma", "max_pooling2d") == summary("ma", "maxpool")
    assert summary("rep", "repeat").startswith("Repeats the indented lines N times")
    assert summary("compile ad", "adam") == "Optimizer that implements the Adam algorithm"
    strides = summary("conv2d 8 3 str", "strides=")
    assert "strid" in strides
    assert strides.endswith(" ...")
    assert summary("dense {wi", "width") == ""  # values of the notebook have none
    words = [
        each
        for text in ("a", "compile a", "dense 8 a")
        for each in complete(text, len(text), NAMES)
    ]
    assert all(len(each.summary) <= candidates.MAX_SUMMARY for each in words)
    lines = [text for text in (each.summary for each in words) if "\n" in text or "`" in text]
    assert not lines


def test_a_completion_replaces_the_fragment() -> None:
    assert "bidirectional(lstm 32, merge_mode=" in applied("bidirectional(lstm 32, mer")
    assert "compile adam metrics=accuracy,mae" in applied("compile adam metrics=accuracy,ma")
    assert "conv2d 8 3x3 !use_bias" in applied("conv2d 8 3x3 !us")
    assert "a = input 4\ndense {cfg.units" in applied("a = input 4\ndense {cfg.un")
    assert "batch_normalization" in applied("batchn")


def test_classes_and_functions_of_the_notebook() -> None:
    class Gate(keras.layers.Dense):
        """A layer.

        Args:
            mode: string, `"soft"` or `"hard"`.
        """

        def __init__(self, units: int, mode: str = "soft", **kwargs: Any) -> None:
            super().__init__(units, **kwargs)
            self.mode = mode

    def halve(x: Any) -> Any:
        return x / 2

    names = {"Gate": Gate, "halve": halve}
    assert "Gate" in texts("Ga|", names)
    assert "halve" in texts("ha|", names)
    assert "mode=" in texts("Gate 3 mo|", names)
    assert texts("Gate 3 mode=|", names) == ["soft", "hard"]


def test_every_bare_word_completion_builds() -> None:
    for word in texts("conv2d 8 3x3 |"):
        if not word.endswith("="):
            assert build(f"input 8x8x3 / conv2d 8 3x3 {word}").built


def test_every_layer_offers_all_its_arguments() -> None:
    for word in candidates.words_of("layer"):
        made = catalogue.find_object("layer", word)
        shown = {each for each in texts(f"{word} |") if each.endswith("=")}
        missing = {f"{each.name}=" for each in candidates.text_parameters(made)} - shown
        assert not missing, word


@pytest.mark.parametrize("text", ["", "\n\n", "}", "))", "dense 3 <-", "[", "{{", "a,b=", "'"])
def test_invalid_texts_raise_nothing(text: str) -> None:
    for cursor in range(len(text) + 1):
        complete(text, cursor, NAMES)


def test_no_cursor_position_raises() -> None:
    page = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")
    for text in page.split("```kmagic\n")[1:]:
        sample = text.split("```")[0]
        for cursor in range(len(sample) + 1):
            for each in complete(sample, cursor, NAMES):
                assert 0 <= each.start <= cursor


def test_position_and_scope() -> None:
    text = "block res(f, s=1):\n  t = dense {f}\n  conv2d 3 kernel_regularizer=l1l2(0.1, l2="
    place = locate(text, len(text))
    assert (place.kind, place.callee, place.name, place.owner) == (
        "value",
        "l1l2",
        "l2",
        "kernel_regularizer",
    )
    scope = scope_at(text, len(text))
    assert scope.outputs == ["t"]
    assert scope.values == ["f", "s"]
    assert scope.has_entry


# --- without Keras --------------------------------------------------------------------------------


def test_stored_words_complete_before_keras_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras_import, "is_loaded", lambda: False)
    assert "conv2d" in texts("con|")
    assert "relu" in texts("dense 8 re|")
    assert "he_normal" in texts("dense 8 kernel_initializer=he|")
    assert "adam" in texts("compile ad|")
    assert "res" in texts("block res(f):\n  dense {f}\nre|")


def test_completing_does_not_start_keras() -> None:
    program = (
        "import sys\n"
        "from kmagic.magics.completion.candidates import complete\n"
        "for text in ('con', 'conv2d 8 ', 'dense 8 kernel_initializer=', 'compile ', 'x <- '):\n"
        "    complete(text, len(text), {})\n"
        "print(*{'keras', 'tensorflow'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_stored_words_match_the_installed_keras() -> None:
    stored = candidates.stored_words()
    if stored == candidates.words_to_store():
        return
    page = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")
    assert f"As Keras {keras.__version__} " not in page, "run scripts/make_language_reference.py"


# --- IPython --------------------------------------------------------------------------------------


@pytest.fixture
def session(plain_shell: InteractiveShell) -> Session:
    plain_shell.user_ns.update(NAMES)
    return Session(plain_shell)


def complete_cell(session: Session, text: str) -> list[str]:
    """What the matcher returns at the ``|`` of a cell."""
    before, _, after = text.partition("|")
    row, column = before.count("\n"), len(before.rpartition("\n")[2])
    found = match(before + after, row, column, session)
    assert before.endswith(found["matched_fragment"])
    assert found["suppress"] is bool(len(found["completions"]))
    return [each.text for each in found["completions"]]


def test_the_matcher_completes_only_in_our_cells(session: Session) -> None:
    assert "conv2d" in complete_cell(session, "%%keras_model cnn\ninput 4x4x1\ncon|")
    assert "conv2d" in complete_cell(session, "\n%%keras_model cnn\ninput 4x4x1\ncon|\ndense 3")
    assert complete_cell(session, "con|") == []
    assert complete_cell(session, "x = 3\ncon|") == []
    assert complete_cell(session, "%%time\ncon|") == []
    assert complete_cell(session, "%%keras_mod|") == []


def test_terminals_show_the_documentation_or_the_kind(session: Session) -> None:
    def types_of(text: str, *, documented: bool = True) -> dict[str, str]:
        row, column = text.count("\n"), len(text.rpartition("\n")[2])
        found = match(text, row, column, session, documented=documented)["completions"]
        return {each.text: each.type for each in found}

    pooling = "Max pooling operation for 2D spatial data"
    assert types_of("%%keras_model\nma")["maxpool"] == pooling
    assert types_of("%%keras_model\nma", documented=False)["maxpool"] == "class"
    assert types_of("%keras_fit --ep")["--epochs"] != "param"
    session.names["measure"] = np.zeros(3)
    assert types_of("%%keras_model\ndense {meas") == {"measure": "instance"}


def test_python_completions_are_suppressed_in_our_cells(session: Session) -> None:
    for text in ("%%keras_model cnn\nimp|", "%%keras_model cnn\ndense 3 * |"):
        assert complete_cell(session, text) == []
    assert match("%%keras_model cnn\nimp", 1, 3, session)["suppress"]
    assert not match("imp", 0, 3, session)["suppress"]


def test_data_sources(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos" / "cats").mkdir(parents=True)
    (tmp_path / "prices.csv").write_text("size,town,my street,price\n1,Ulm,a,2\n")
    (tmp_path / "semi.csv").write_text("a;b\n")
    (tmp_path / "program.py").touch()
    session.names["people"] = pytest.importorskip("pandas").DataFrame({"age": [1], "name": ["Ann"]})
    session.names["pixels"] = np.ones(3)
    assert set(complete_cell(session, "%keras_data p|")) == {
        "people",
        "photos/",
        "pixels",
        "prices.csv",
    }
    assert complete_cell(session, "%keras_data photos/|") == ["photos/cats/"]
    assert complete_cell(session, f"%keras_data {tmp_path}/pho|") == [f"{tmp_path}/photos/"]
    assert complete_cell(session, "%keras_data no/such/|") == []
    assert complete_cell(session, "%keras_data prices.csv --target p|") == ["price"]
    assert "'my street'" in complete_cell(session, "%keras_data prices.csv --target |")
    assert complete_cell(session, "%keras_data prices.csv --drop size,t|") == ["size,town"]
    assert complete_cell(session, "%keras_data people --target |") == ["age", "name"]
    assert complete_cell(session, "%keras_data semi.csv --sep ; --target |") == ["a", "b"]
    assert complete_cell(session, "%keras_data none.csv --target |") == []


def test_model_files(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    for name in ("net.keras", "net.weights.h5", "net.csv"):
        (tmp_path / "models" / name).touch()
    session.names["net"] = build("input 4 / dense 2")
    assert complete_cell(session, "%keras_load |") == ["models/"]
    assert complete_cell(session, "%keras_load models/n|") == [
        "models/net.keras",
        "models/net.weights.h5",
    ]
    assert complete_cell(session, "%keras_load models/net.weights.h5 |") == ["net"]
    assert complete_cell(session, "%keras_save n|") == ["net"]
    assert complete_cell(session, "%keras_save net m|") == ["models/"]
    assert "--unsafe" in complete_cell(session, "%keras_load models/net.keras --u|")


def test_magic_lines(session: Session) -> None:
    session.names["net"] = build("input 4 / dense 2")
    session.names["digits"] = types.SimpleNamespace(x_train=1, y_train=1, x_test=1, y_test=1)
    session.names["xs"] = np.ones(3)
    assert complete_cell(session, "%keras_fit |") == ["net"]
    assert {"--epochs", "--data"} <= set(complete_cell(session, "run = %keras_fit net --|"))
    assert complete_cell(session, "%keras_fit net --data |") == ["digits"]
    assert "digits.x_train" in complete_cell(session, "%keras_fit net digits.x|")
    assert "xs" in complete_cell(session, "%keras_fit net x|")
    assert complete_cell(session, "%keras_confusion net --normalize p|") == ["pred"]
    session.names["two"] = build(
        "input 4 / h = _ / kind = dense 2 <- h / size = dense 1 <- h / output kind, size"
    )
    assert complete_cell(session, "%keras_confusion two --output k|") == ["kind"]
    assert complete_cell(session, "%keras_predict net --output |") == []
    del session.names["two"]
    assert "mnist" in complete_cell(session, "%keras_data mn|")
    assert complete_cell(session, "%keras_data mnist --scale s|") == ["standard"]
    assert "conv2d" in complete_cell(session, "%keras_layers con|")
    assert "activations" in complete_cell(session, "%keras_layers act|")
    assert "adam" in complete_cell(session, "%keras_compile net ad|")
    assert "mse" in complete_cell(session, "%keras_compile net adam --loss ms|")
    assert complete_cell(session, "%keras_compile net adam(lea|") == ["adam(learning_rate="]
    assert complete_cell(session, "%%keras_model n|") == ["net"]
    assert complete_cell(session, "%%keras_model cnn --weights-from n|") == ["net"]
    assert complete_cell(session, "%keras_classify net photo|") == []  # files are IPython's own
    assert complete_line("no_magic_of_ours", "a", session) == []


def test_registering_and_unregistering(session: Session) -> None:
    completer = session.shell.Completer
    before = list(completer.custom_matchers)
    magic_completion.register(session.shell, session)
    cell = "%%keras_model cnn\ninput 4\ndense 3 rel"
    with provisionalcompleter():
        found = list(completer.completions(cell, len(cell)))
    assert [(each.text, each.start) for each in found] == [
        ("relu", len(cell) - 3),
        ("relu6", len(cell) - 3),
    ]
    magic_completion.unregister(session.shell)
    assert completer.custom_matchers == [
        each for each in before if each.__name__ != "kmagic_matcher"
    ]


@pytest.fixture(scope="module")
def kernel() -> Iterator[Any]:
    manager, client = start_new_kernel(kernel_name="python3")
    client.execute_interactive(
        "%load_ext kmagic\n"
        "from kmagic.magics.completion import completer\n"
        "from kmagic.magics.session import Session\n"
        "completer.unregister(get_ipython())\n"
        "completer.register(get_ipython(), Session(get_ipython()))\n"
        "width = 64",
        timeout=60,
    )
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def complete_in_kernel(client: Any, code: str) -> tuple[list[str], int, int]:
    """A kernel's answer to Tab at the end of a cell."""
    reply = client.complete(code, len(code), reply=True, timeout=60)["content"]
    return reply["matches"], reply["cursor_start"], reply["cursor_end"]


def test_a_real_kernel_completes(kernel: Any) -> None:
    cell = "%%keras_model cnn\ninput 28x28x1\n"
    matches, begin, end = complete_in_kernel(kernel, cell + "con")
    assert "conv2d" in matches
    assert (begin, end) == (len(cell), len(cell) + 3)
    assert all("import" not in each for each in matches)
    assert complete_in_kernel(kernel, cell + "dense {wid")[0] == ["width"]
    assert complete_in_kernel(kernel, cell + "dense 8 kernel_initializer=he_n")[0] == ["he_normal"]
    assert complete_in_kernel(kernel, cell + "imp")[0] == []
    assert "--epochs" in complete_in_kernel(kernel, "%keras_fit --ep")[0]
    assert "width" in complete_in_kernel(kernel, "print(wid")[0]


def test_a_real_kernel_completes_without_starting_keras(kernel: Any) -> None:
    complete_in_kernel(kernel, "%%keras_model cnn\nconv2d 3 ")
    seen = []
    kernel.execute_interactive(
        "import sys; print('keras' in sys.modules)",
        timeout=60,
        output_hook=lambda message: seen.append(message["content"].get("text", "")),
    )
    assert "False\n" in seen
