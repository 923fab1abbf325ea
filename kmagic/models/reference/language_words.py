"""The language's own words, which no Keras docstring explains."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LanguageWord:
    """One of the language's own words.

    Attributes:
        word: As it is written.
        usage: How a line with it looks; what stands in CAPITALS is yours.
        summary: What it does, in a sentence or two.
        example: A text that builds.
        setup: Python lines that the notebook must have run before, or "".
        see: What to look at for the rest: a class or function of Keras whose arguments it takes.
    """

    word: str
    usage: str
    summary: str
    example: str
    setup: str = ""
    see: str = ""


LANGUAGE_WORDS: tuple[LanguageWord, ...] = (
    LanguageWord(
        "input",
        "[NAME =] input SHAPE [DTYPE]",
        "Where data comes in: the shape of one sample, without the batch; `?` is an unknown "
        "dimension. A model with several inputs gives each a name.",
        "input 28x28x1\nflatten\ndense 10 softmax",
        see="Input",
    ),
    LanguageWord(
        "output",
        "output A, B   or   output NAME=A, NAME=B",
        "What the model gives. Without this line it is what the last line gives; with names the "
        "model gives a dictionary. In a block it is what the block gives.",
        "input 16\nh = dense 32 relu\ncls = dense 4 softmax <- h\nbox = dense 4 <- h\n"
        "output cls=cls, box=box",
    ),
    LanguageWord(
        "inputs",
        "inputs A, B   or   inputs NAME=A, NAME=B",
        "The order of the model's inputs where it is not that of the text, or their names if it "
        "takes a dictionary.",
        "a = input 8\nb = input 4\nconcatenate <- a, b\ndense 1\ninputs b, a",
    ),
    LanguageWord(
        "compile",
        "compile OPTIMIZER loss=LOSS metrics=METRIC,METRIC",
        "Makes the model ready to train: `Model.compile`. Optimizers, losses, metrics and "
        "schedules are words, with arguments in brackets.",
        "input 16\ndense 10 softmax\n"
        "compile adam(1e-3) loss=sparse_categorical_crossentropy metrics=accuracy",
        see="compile",
    ),
    LanguageWord(
        "freeze",
        "freeze   or   freeze NAME, NAME",
        "Keeps weights as they are in training: of all layers so far, or of those with these "
        "names.",
        "input 16\nbase = dense 32 relu\nfreeze base\ndense 4 softmax",
    ),
    LanguageWord(
        "adapt",
        "LAYER ... adapt={DATA}",
        "Lets a preprocessing layer learn its state (vocabulary, mean and variance) from data of "
        "the notebook, before the model is built.",
        "input 1 string\ntext_vectorization 1000 output_sequence_length=80 adapt={texts}\n"
        "embedding 1000 16\ngap1d\ndense 1 sigmoid",
        setup='texts = ["a good film", "a long film"]',
    ),
    LanguageWord(
        "block",
        "block NAME(PARAMETER, PARAMETER=DEFAULT):",
        "A template: the lines below it, indented, are put in wherever its name is used, each "
        "time with fresh layers. Its parameters are used in braces; `_in` is what entered it.",
        "block conv(f, size=3):\n  conv2d {f} {size} same !use_bias\n"
        "  batch_normalization / activation relu\ninput 32x32x3\nconv 16\nconv 32 size=5",
    ),
    LanguageWord(
        "repeat",
        "repeat N:   or   LINE * N",
        "The lines below it, N times, with fresh layers each time. For one line `* N` at its end "
        "does the same.",
        "input 32\nrepeat 3:\n  dense 32 relu\n  dropout 0.2\ndense 8 relu * 2",
    ),
    LanguageWord(
        "for",
        "for NAME in VALUE VALUE:",
        "The lines below it, once for each value; `{NAME}` is the value.",
        "input 32x32x3\nfor f in 16 32 64:\n  conv2d {f} 3x3 same relu\n  maxpool 2x2",
    ),
    LanguageWord(
        "residual",
        "residual:",
        "Adds what entered the lines below it to what leaves them.",
        "input 32\nresidual:\n  dense 32 relu\n  dense 32\nactivation relu",
    ),
    LanguageWord(
        "merge",
        "merge LAYER:",
        "Gives the same value to each `branch:` below it, and brings their ends together with a "
        "layer: add, concatenate, multiply ...",
        "input 32x32x3\nmerge concatenate:\n  branch: conv2d 8 1x1 relu\n"
        "  branch: conv2d 8 3x3 same relu\n  branch: maxpool 3x3 1x1 same",
    ),
    LanguageWord(
        "branch",
        "branch:",
        "One way through a `merge`. An empty way is `branch: identity`.",
        "input 16\nmerge add:\n  branch:\n    dense 16 relu\n    dense 16\n  branch: identity",
    ),
    LanguageWord(
        "model",
        "model NAME:   or   model NAME [sequential|functional]",
        "With lines below it: a model inside the model; each use of its name applies the same "
        "weights. Alone on its line: name and kind of the cell's own model.",
        "model encoder:\n  input 20 int32\n  embedding 1000 16\n  lstm 8\n"
        "a = input 20 int32\nb = input 20 int32\nea = encoder <- a\neb = encoder <- b\n"
        "concatenate <- ea, eb\ndense 1 sigmoid",
        see="Model",
    ),
    LanguageWord(
        "reuse",
        "reuse NAME [<- INPUTS]",
        "Applies a layer again that has a name already: the same weights.",
        "a = input 16\nb = input 16\nshared = dense 8 relu <- a\nother = reuse shared <- b\n"
        "concatenate <- shared, other",
    ),
    LanguageWord(
        "<-",
        "LAYER ARGUMENTS <- INPUTS, CALL_ARGUMENT=VALUE",
        "Left of the arrow stands what makes the layer, right of it what it is called with: "
        "outputs by their names, and call arguments such as training or mask. Without an arrow "
        "a layer takes what the line above gave.",
        "a = input 16\nb = input 16\nadd <- a, b\ndropout 0.5 <- _, training=true",
    ),
    LanguageWord(
        "_",
        "_",
        "Right of an arrow: what the line above gave.",
        "input 20x8\nmulti_head_attention 2 4 <- _, _",
    ),
    LanguageWord(
        "_in",
        "_in",
        "Right of an arrow, in a block or a branch: what entered it.",
        "block gated(n):\n  dense {n} sigmoid\n  multiply <- _in, _\ninput 16\ngated 16",
    ),
    LanguageWord(
        "=",
        "NAME = LAYER ...   or   NAME, NAME = LAYER ...",
        "Gives what leaves a layer a name, and outside of blocks and loops the layer too. A layer "
        "with several outputs takes several names.",
        "input 20x8\nout, h, c = lstm 16 return_state\nconcatenate <- out, c",
    ),
    LanguageWord(
        "*",
        "LINE * N",
        "The line, N times, with fresh layers each time.",
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
        "A value of the notebook or of a block's parameter: names, attributes, indexing, "
        "arithmetic and comparisons, never calls. Layers and models stand in braces too.",
        "input {width}\ndense {units // 2} relu\n{head}",
        setup="import keras\nwidth, units = 16, 64\nhead = keras.layers.Dense(3)",
    ),
    LanguageWord(
        "!",
        "!ARGUMENT",
        "Sets a true-or-false argument to false; its bare name sets it to true.",
        "input 32x32x3\nconv2d 16 3x3 !use_bias",
    ),
    LanguageWord(
        "&",
        "&NAME",
        "A layer itself as an argument, not what leaves it.",
        "input 10x16\nmodel cell:\n  input 16\n  dense 8 relu\ntime_distributed(&cell)",
    ),
    LanguageWord(
        "ops",
        "ops.FUNCTION ARGUMENTS <- INPUTS",
        "Applies a function of keras.ops, as layers are applied. All of them: %keras_layers ops",
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
