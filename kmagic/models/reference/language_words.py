"""The words of the layer language itself, which Keras does not document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class LanguageWord:
    """A word of the language itself; in its usage, CAPITALS are placeholders.

    Its example is a text that builds, after the Python code of ``setup``.
    """

    aliases: ClassVar[tuple[str, ...]] = ()
    shown_alias: ClassVar[str] = ""
    word: str
    usage: str
    summary: str
    example: str
    setup: str = ""


LANGUAGE_WORDS: tuple[LanguageWord, ...] = (
    LanguageWord(
        "input",
        "[NAME =] input SHAPE [DTYPE]",
        "An input of the model: the shape of one sample, without the batch; `?` is an unknown "
        "size. With several inputs, each has a name.",
        "input 28x28x1\nflatten\ndense 10 softmax",
    ),
    LanguageWord(
        "output",
        "output A, B   or   output NAME=A, NAME=B",
        "The outputs of the model; by default, the output of the last line. With names, the "
        "model returns a dictionary. In a block: the output of the block.",
        "input 16\nh = dense 32 relu\ncls = dense 4 softmax <- h\nbox = dense 4 <- h\noutput "
        "cls=cls, box=box",
    ),
    LanguageWord(
        "inputs",
        "inputs A, B   or   inputs NAME=A, NAME=B",
        "The order of the model's inputs, if it differs from the order in the text, or their "
        "names, if the model takes a dictionary.",
        "a = input 8\nb = input 4\nconcatenate <- a, b\ndense 1\ninputs b, a",
    ),
    LanguageWord(
        "compile",
        "compile OPTIMIZER loss=LOSS metrics=METRIC,METRIC",
        "Compiles the model for training: `Model.compile`. Optimizers, losses, metrics and "
        "schedules are words, with their arguments in parentheses.",
        "input 16\ndense 10 softmax\ncompile adam(1e-3) loss=sparse_categorical_crossentropy "
        "metrics=accuracy",
    ),
    LanguageWord(
        "freeze",
        "freeze   or   freeze NAME, NAME",
        "Keeps weights unchanged in training: those of all layers above, or of the named layers.",
        "input 16\nbase = dense 32 relu\nfreeze base\ndense 4 softmax",
    ),
    LanguageWord(
        "adapt",
        "LAYER ... adapt={DATA}",
        "Lets a preprocessing layer learn its state (vocabulary, mean and variance) from a "
        "notebook variable, before the model is built.",
        "input 1 string\ntext_vectorization 1000 output_sequence_length=80 adapt={texts}\n"
        "embedding 1000 16\ngap1d\ndense 1 sigmoid",
        setup='texts = ["a good film", "a long film"]',
    ),
    LanguageWord(
        "block",
        "block NAME(PARAMETER, PARAMETER=DEFAULT):",
        "A template: each use of its name inserts the indented lines, with new layers each "
        "time. Parameters are written in braces; `_in` is the input of the block.",
        "block conv(f, size=3):\n  conv2d {f} {size} same !use_bias\n  batch_normalization / "
        "activation relu\ninput 32x32x3\nconv 16\nconv 32 size=5",
    ),
    LanguageWord(
        "repeat",
        "repeat N:   or   LINE * N",
        "Repeats the indented lines N times, with new layers each time. For a single line, "
        "write `* N` at its end.",
        "input 32\nrepeat 3:\n  dense 32 relu\n  dropout 0.2\ndense 8 relu * 2",
    ),
    LanguageWord(
        "for",
        "for NAME in VALUE VALUE:",
        "Repeats the indented lines once for each value; `{NAME}` is the value.",
        "input 32x32x3\nfor f in 16 32 64:\n  conv2d {f} 3x3 same relu\n  maxpool 2x2",
    ),
    LanguageWord(
        "residual",
        "residual:",
        "Adds the input of the indented lines to their output.",
        "input 32\nresidual:\n  dense 32 relu\n  dense 32\nactivation relu",
    ),
    LanguageWord(
        "merge",
        "merge LAYER:",
        "Passes the same input to each `branch:` below, and merges their outputs with a layer: "
        "add, concatenate, multiply ...",
        "input 32x32x3\nmerge concatenate:\n  branch: conv2d 8 1x1 relu\n  branch: conv2d 8 "
        "3x3 same relu\n  branch: maxpool 3x3 1x1 same",
    ),
    LanguageWord(
        "branch",
        "branch:",
        "One branch of a `merge`. An empty branch is `branch: identity`.",
        "input 16\nmerge add:\n  branch:\n    dense 16 relu\n    dense 16\n  branch: identity",
    ),
    LanguageWord(
        "model",
        "model NAME:   or   model NAME [sequential|functional]",
        "With indented lines: a nested model; each use of its name applies the same weights. "
        "Alone on a line: name and kind of the model itself.",
        "model encoder:\n  input 20 int32\n  embedding 1000 16\n  lstm 8\na = input 20 int32\n"
        "b = input 20 int32\nea = encoder <- a\neb = encoder <- b\nconcatenate <- ea, eb\n"
        "dense 1 sigmoid",
    ),
    LanguageWord(
        "reuse",
        "reuse NAME [<- INPUTS]",
        "Applies a named layer again, with the same weights.",
        "a = input 16\nb = input 16\nshared = dense 8 relu <- a\nother = reuse shared <- b\n"
        "concatenate <- shared, other",
    ),
    LanguageWord(
        "<-",
        "LAYER ARGUMENTS <- INPUTS, CALL_ARGUMENT=VALUE",
        "Left of the arrow: the arguments of the layer. Right of it: the inputs by name, and "
        "call arguments such as training or mask. Without an arrow, a layer takes the output "
        "of the line above.",
        "a = input 16\nb = input 16\nadd <- a, b\ndropout 0.5 <- _, training=true",
    ),
    LanguageWord(
        "_",
        "_   or   NAME = _",
        "Right of an arrow: the output of the line above. `NAME = _` gives it another name.",
        "input 20x8\nmulti_head_attention 2 4 <- _, _",
    ),
    LanguageWord(
        "_in",
        "_in   or   NAME = _in",
        "Right of an arrow in a block or branch: the input of the block or branch.",
        "block gated(n):\n  dense {n} sigmoid\n  multiply <- _in, _\ninput 16\ngated 16",
    ),
    LanguageWord(
        "=",
        "NAME = LAYER ...   or   NAME, NAME = LAYER ...",
        "Names the output of a layer and, outside of blocks and loops, the layer itself. A "
        "layer with several outputs takes several names.",
        "input 20x8\nout, h, c = lstm 16 return_state\nconcatenate <- out, c",
    ),
    LanguageWord(
        "*",
        "LINE * N",
        "Repeats the line N times, with new layers each time.",
        "input 32\ndense 32 relu * 3",
    ),
    LanguageWord(
        "/",
        "LAYER / LAYER",
        "The same as a new line.",
        "input 28x28x1 / flatten / dense 10 softmax",
    ),
    LanguageWord(
        "{}",
        "{EXPRESSION}",
        "A notebook variable, a block's parameter, or an expression: names, attributes, "
        "indexing, arithmetic and comparisons, but no calls. Layers and models are written in "
        "braces too.",
        "input {width}\ndense {units // 2} relu\n{head}",
        setup="import keras\nwidth, units = 16, 64\nhead = keras.layers.Dense(3)",
    ),
    LanguageWord(
        "!",
        "!ARGUMENT",
        "Sets a boolean argument to false; its name alone sets it to true.",
        "input 32x32x3\nconv2d 16 3x3 !use_bias",
    ),
    LanguageWord(
        "&",
        "&NAME",
        "A layer itself as an argument, not its output.",
        "input 10x16\nmodel cell:\n  input 16\n  dense 8 relu\ntime_distributed(&cell)",
    ),
    LanguageWord(
        "ops",
        "ops.FUNCTION ARGUMENTS <- INPUTS",
        "Applies a function of keras.ops like a layer. List all: %keras_layers ops",
        "a = input 16\nb = input 16\nops.maximum <- a, b\nops.expand_dims axis=1",
    ),
)

LANGUAGE_WORDS_BY_NAME: dict[str, LanguageWord] = {native.word: native for native in LANGUAGE_WORDS}
LANGUAGE_WORDS_BY_NAME |= {
    "[": LANGUAGE_WORDS_BY_NAME["="],
    "{": LANGUAGE_WORDS_BY_NAME["{}"],
    "}": LANGUAGE_WORDS_BY_NAME["{}"],
    "<": LANGUAGE_WORDS_BY_NAME["<-"],
}
