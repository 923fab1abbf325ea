from __future__ import annotations

import inspect
import re
from html.parser import HTMLParser
from typing import Any

import keras
import pytest
from IPython.core.interactiveshell import InteractiveShell

from kmagic.api import build
from kmagic.language import parse
from kmagic.models import catalogue
from kmagic.models.reference import WordHelp, WordList, language_words, reference
from kmagic.models.reference.docstring import docstring, parse_docstring, shape_from_text
from kmagic.models.reference.word_families import FAMILIES, OTHER, ROLES, families, keras_words
from kmagic.models.reference.word_help import argument_descriptions, word_help
from kmagic.support.errors import KmagicError, MagicError

FOREIGN = {"flax_layer", "jax_layer", "tfsm_layer", "torch_module_wrapper"}
NO_EXAMPLE = FOREIGN | {
    "cut_mix",
    "input_layer",
    "max_num_bounding_boxes",
    "mix_up",
    "multi_optimizer",
    "optimizer_map",
    "wrapper",
}


# --- lists ----------------------------------------------------------------------------------------


def test_every_layer_of_keras_has_a_family() -> None:
    listed = [known.value for members in families().values() for known in members]
    assert len(listed) == len({id(each) for each in listed}), "a layer is listed twice"
    everything = set(catalogue.members("layer").values()) - {keras.layers.Layer}
    assert set(listed) == everything


def test_families_are_keras_folders() -> None:
    assert set(families()) <= {*FAMILIES.values(), OTHER}, "Keras has a new folder: name it"
    assert {known.word for known in families()[OTHER]} == FOREIGN
    assert "maxpool" in {known.word for known in families()["pooling"]}


@pytest.mark.parametrize("role", ROLES)
def test_every_member_of_a_role_is_listed(role: Any) -> None:
    words = {word for known in keras_words(role) for word in (known.word, *known.aliases)}
    squeezed = {catalogue.normalize_word(word) for word in words}
    for word in catalogue.words_for_role(role):
        value = catalogue.find_object(role, word) if role != "dtype" else None
        if inspect.isclass(value) and value.__name__.lower() == role:
            continue
        if value is keras.optimizers.schedules.LearningRateSchedule:
            continue
        if value is None and not catalogue.accepts_string(role, word):
            continue
        assert catalogue.normalize_word(word) in squeezed, word


def test_the_overview_lists_layers_by_family_and_the_language() -> None:
    result = reference()
    assert isinstance(result, WordList)
    titles = [group.title for group in result.groups]
    assert titles[:4] == ["core", "convolution", "pooling", "recurrent"]
    assert titles[-1] == "the language"
    text = result._bundle()["text/plain"]
    assert "conv2d" in text
    assert "maxpool (max_pooling2d)" in text
    assert "residual" in text
    assert max(map(len, text.split("More lists")[0].splitlines())) <= 100


@pytest.mark.parametrize(
    ("word", "member"),
    [
        ("activations", "gelu"),
        ("initializers", "he_normal"),
        ("regularizers", "l2"),
        ("constraints", "max_norm"),
        ("losses", "huber"),
        ("metrics", "auc"),
        ("optimizers", "adamw"),
        ("schedules", "cosine_decay"),
        ("dtypes", "mixed_float16"),
        ("loss", "huber"),
        ("pooling", "maxpool"),
        ("recurrent", "lstm"),
        ("image preprocessing", "random_flip"),
        ("family normalization", "layer_normalization"),
        ("ops", "ops.maximum"),
    ],
)
def test_kinds_and_families(word: str, member: str) -> None:
    result = reference(word)
    assert isinstance(result, WordList)
    assert member in {item.word for group in result.groups for item in group.items}
    assert member in result._bundle()["text/plain"]
    assert member in result._bundle()["text/html"]


def test_every_listed_word_has_help() -> None:
    for role in ROLES[:-1]:
        for known in keras_words(role):
            for word in (known.word, *known.aliases):
                result = reference(f"{role} {word}")
                assert isinstance(result, WordHelp)
                assert result.word == known.word


# --- one word -------------------------------------------------------------------------------------


def test_a_layer() -> None:
    result = reference("conv2d")
    assert isinstance(result, WordHelp)
    assert result.name == "keras.layers.Conv2D"
    assert result.summary == "2D convolution layer."
    assert result.shape_in == "height x width x channels"
    assert result.shape_out == "new_height x new_width x filters"
    arguments = {each.name: each for each in result.arguments}
    assert arguments["filters"].default is None
    assert arguments["strides"].default == "1x1"
    assert arguments["padding"].default == "valid"
    assert arguments["use_bias"].is_flag
    assert arguments["kernel_initializer"].role == "initializer"
    assert arguments["kernel_size"].description.startswith("int or tuple/list of 2 integer")
    assert [(line.text, line.shape) for line in result.example] == [
        ("input 32x32x3", "32 x 32 x 3"),
        ("conv2d 32 3x3 same relu", "32 x 32 x 32"),
    ]


def test_call_arguments() -> None:
    result = reference("lstm")
    assert isinstance(result, WordHelp)
    arguments = {each.name: each.description for each in result.call_arguments}
    assert list(arguments) == ["sequences", "initial_state", "mask", "training"]
    assert arguments["initial_state"].startswith("List of initial state tensors")


def test_aliases_lead_to_the_same_word() -> None:
    words = {reference(word).word for word in ("maxpool", "max_pooling2d", "MaxPooling2D")}  # type: ignore[attr-defined]
    assert words == {"maxpool"}


def test_a_word_with_several_meanings() -> None:
    layer = reference("relu")
    assert isinstance(layer, WordHelp)
    assert layer.name == "keras.layers.ReLU"
    assert layer.other_meanings == ("activation relu",)
    activation = reference("activation relu")
    assert isinstance(activation, WordHelp)
    assert activation.name == "keras.activations.relu"


def test_objects() -> None:
    adam = reference("adam")
    assert isinstance(adam, WordHelp)
    assert adam.usage.startswith("adam(learning_rate=0.001")
    assert adam.example[-1].text == "compile adam(0.001) loss=mse"
    l2 = reference("l2")
    assert isinstance(l2, WordHelp)
    assert l2.example[-1].text == "dense 32 kernel_regularizer=l2(0.01)"


def test_a_function_of_keras_ops() -> None:
    result = reference("ops.expand_dims")
    assert isinstance(result, WordHelp)
    assert [each.name for each in result.arguments] == ["x", "axis"]


def test_a_class_of_the_notebook() -> None:
    class Twice(keras.layers.Layer):
        """Doubles <b>everything</b>.

        Args:
            how: How, `plain` or <i>not</i>.
        """

        def __init__(self, how: str = "plain", **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.how = how

    names = {"Twice": Twice, "_hidden": Twice, "Dense": keras.layers.Dense}
    listed = reference("", names)
    assert isinstance(listed, WordList)
    own = next(group for group in listed.groups if group.title == "of this notebook")
    assert [item.word for item in own.items] == ["Twice"]
    result = reference("Twice", names)
    assert isinstance(result, WordHelp)
    assert result.arguments[0].description == "How, `plain` or <i>not</i>."
    markup = result._bundle()["text/html"]
    assert "<b>everything" not in markup
    assert "&lt;b&gt;everything&lt;/b&gt;" in markup
    assert ">plain</code> or &lt;i&gt;not" in markup


@pytest.mark.parametrize(
    "word", [each.word for each in language_words.LANGUAGE_WORDS if each.word != "ops"]
)
def test_help_on_language_words(word: str) -> None:
    result = reference(word)
    assert isinstance(result, WordHelp)
    assert result.summary
    assert any(line.shape for line in result.example), "the example has built"
    assert word.strip("{}") in result.usage


def test_compile_lists_its_arguments() -> None:
    result = reference("compile")
    assert isinstance(result, WordHelp)
    assert result.arguments[0].name == "optimizer"
    assert "metrics" in {each.name for each in result.arguments}


# --- every word -----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_every_word_has_an_example_that_builds(role: Any) -> None:
    without = set()
    for known in keras_words(role):
        result = word_help(known, ())  # builds the example
        if result.no_example:
            without.add(known.word)
            assert not result.example
        else:
            assert any(line.shape for line in result.example), known.word
            text = "\n".join(line.text for line in result.example)
            assert re.search(rf"(?<![\w.]){re.escape(known.word)}(?!\w)", text), known.word
            parse(text)
    assert without <= NO_EXAMPLE


def test_examples_build_their_layers() -> None:
    for word in ("dense", "lstm", "multi_head_attention"):
        result = reference(word)
        assert isinstance(result, WordHelp)
        model = build("\n".join(line.text for line in result.example))
        made = catalogue.find_object("layer", word)
        assert any(type(layer) is made for layer in model.layers)


def test_nearly_every_argument_is_explained() -> None:
    bare, total = [], 0
    for role in ROLES[:-1]:
        for known in keras_words(role):
            if known.value is None or role == "activation":
                continue
            arguments = argument_descriptions(known.value)
            for param in catalogue.parameters(known.value):
                if param.positional:
                    total += 1
                    if not arguments.get(param.name):
                        bare.append(f"{known.word}.{param.name}")
    assert total > 1000
    assert len(bare) <= 0.03 * total, bare


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "remedy"),
    [
        ("conv2", "Did you mean conv2d?"),
        ("adamm", "Did you mean adam?"),
        ("residul", "Did you mean residual?"),
        ("activation_s", "Did you mean activations?"),
        ("zzzzzzzz", "List all words: %keras_layers"),
        ("ops.expand_dim", "Did you mean ops.expand_dims?"),
        ("loss hubert", "Did you mean huber?"),
    ],
)
def test_unknown_words(word: str, remedy: str) -> None:
    with pytest.raises(KmagicError) as caught:
        reference(word)
    assert caught.value.remedy == remedy


def test_the_magic(shell: InteractiveShell) -> None:
    result = shell.run_line_magic("keras_layers", "dropout")
    assert isinstance(result, WordHelp)
    assert result.word == "dropout"
    with pytest.raises(MagicError) as caught:
        shell.run_line_magic("keras_layers", "droput")
    assert str(caught.value) == (
        "line 1, column 15\n"
        "  1 | %keras_layers droput\n"
        "    |               ^^^^^^ droput is not a word of the language\n"
        "\n"
        "Did you mean dropout?"
    )


# --- docstrings -----------------------------------------------------------------------------------


def test_docstring_sections() -> None:
    result = parse_docstring(inspect.cleandoc(_DOCSTRING))
    assert result.summary == "Makes tea."
    assert result.details == ("It uses `leaves`, see the paper.", "And water.")
    assert result.arguments() == {
        "leaves": "int, how many. Not `None`.",
        "time": "Defaults to: 3.",
    }
    assert result.arguments("Call arguments") == {"water": "Hot, in `(batch, litres)`."}
    assert result.shape("Output shape") == "cups x saucers"


_DOCSTRING = """Makes tea.

    It uses `leaves`, see [the paper](
    https://example.org/tea).

    ```python
tea = Tea(
    leaves=3)
Args:
    ```

    And water.

    Args:
        leaves: int, how many.
            Not `None`.
        time: Defaults to: 3.

    Call arguments:
        water: Hot, in `(batch, litres)`.

    Output shape:
    A tensor: `(batch_size, cups, saucers)`.

    Example:

    >>> Tea()
    """


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        (
            '- If `data_format="channels_last"`:\n    `(batch_size, h, w, channels)`',
            "h x w x channels",
        ),
        ("`(batch, channels, h)` or `(batch, h, channels)`", "h x channels"),
        (
            "- If `keepdims=True`: `(b, 1, channels)`\n- If `keepdims=False`: `(b, channels)`",
            "channels",
        ),
        ("Same shape as the input.", "Same shape as the input."),
        ("Arbitrary. Use the keyword (tuple of integers, no batch).", "Arbitrary."),
        ("", ""),
    ],
)
def test_shapes(text: str, shape: str) -> None:
    assert shape_from_text(text) == shape


def test_every_docstring_of_keras_can_be_read() -> None:
    for role in ROLES[:-1]:
        for known in keras_words(role):
            if known.value is not None:
                result = docstring(known.value)
                assert known.summary, f"{known.word}: add it to _UNDOCUMENTED"
                assert "```" not in " ".join([result.summary, *result.details]), known.word
                assert "](" not in result.summary, known.word


# --- cards ----------------------------------------------------------------------------------------


class _Balance(HTMLParser):
    """Counts open and closed tags."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the interface
        if tag not in {"br", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("word", ["", "conv2d", "residual", "losses", "mha", "<-", "{}"])
def test_cards_are_well_formed(word: str) -> None:
    bundle = reference(word)._bundle()
    assert set(bundle) == {"text/plain", "text/html"}
    parser = _Balance()
    parser.feed(bundle["text/html"])
    assert parser.open == []
