"""``%keras_data``: real data sets in one line."""

from __future__ import annotations

import warnings
from typing import Any

from IPython.core.magic import line_magic, magics_class, no_var_expand

from kmagic.magics.arguments import Arguments
from kmagic.magics.base import Family

DATA = Arguments(
    "%keras_data",
    "Load a data set as D.x_train, D.y_train, D.x_test, D.y_test, D.classes.",
    "%keras_data mnist --scale 255 --channel -o digits\n"
    "%keras_data boston_housing --scale standard",
)
DATA.option(
    "name", help="mnist, fashion_mnist, cifar10, cifar100, imdb, reuters, boston_housing ..."
)
DATA.option("--flatten", action="store_true", help="pictures as vectors")
DATA.option("--channel", action="store_true", help="grey pictures as 28x28x1, not 28x28")
DATA.option("--scale", metavar="HOW", help="255, standard or none; learned on the training part")
DATA.option("--onehot", action="store_true", help="labels as one-hot rows")
DATA.option("--num-words", metavar="N", help="keep the N most frequent words of a text set")
DATA.option("--maxlen", metavar="N", help="leave out texts of N words or more, pad the rest")
DATA.option("--split", metavar="F", help="fraction that becomes the test part")
DATA.option("--seed", metavar="N", default="0", help="seed of the split (default 0)")
DATA.result_options()


@magics_class
class DataMagics(Family):
    """Loading data."""

    @no_var_expand
    @line_magic
    def keras_data(self, line: str) -> Any:
        """Load a data set; ``%keras_data -h`` tells more."""
        read = self.read(DATA, line)
        if read is None:
            return None
        from kmagic.data import SampleDataWarning, load_data  # noqa: PLC0415 - not before data are loaded

        options = {
            "num_words": read.num_words and read.number(read.num_words, "--num-words", least=1),
            "maxlen": read.maxlen and read.number(read.maxlen, "--maxlen", least=1),
            "split": read.split and read.number(read.split, "--split", whole=False),
            "seed": read.number(read.seed, "--seed"),
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SampleDataWarning)  # the card says it
            data = load_data(
                read.name,
                flatten=read.flatten,
                channel=read.channel,
                scale=read.scale,
                onehot=read.onehot,
                **options,
            )
        out = read.out or read.name
        return self.session.deliver(data, out=out, quiet=read.quiet)
