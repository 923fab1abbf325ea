"""Whether the network may be asked."""

from __future__ import annotations

import os


def offline() -> bool:
    """Whether the user has said, by ``KMAGIC_OFFLINE=1``, that the network is not to be asked."""
    return os.environ.get("KMAGIC_OFFLINE", "0") not in ("", "0")
