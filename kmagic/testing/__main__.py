"""``python -m kmagic.testing`` prints where the file for nbval is."""

from kmagic.testing import SANITIZE

print(SANITIZE)  # noqa: T201 - printing is what it is for
