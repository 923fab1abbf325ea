"""``python -m kmagic.testing`` prints the path of the sanitize file for nbval."""

from kmagic.testing import SANITIZE

print(SANITIZE)  # noqa: T201 - the output of the command
