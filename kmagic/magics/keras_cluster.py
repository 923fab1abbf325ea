"""``%keras_cluster``: the Ray cluster that a notebook uses."""

from __future__ import annotations

from typing import Any

from kmagic.magics.line_parser import LineParser, ParsedLine
from kmagic.magics.session import Session, magic

CLUSTER = LineParser(
    "%keras_cluster",
    "Connect the notebook to a Ray cluster: the other magics then run on it.",
    "%keras_cluster local\n%keras_cluster 10.0.0.5:6379\n%keras_cluster ray://gpu-head:10001\n"
    "%keras_cluster\n%keras_cluster off",
    {"on": "the address"},
)
CLUSTER.argument(
    "[ADDRESS]",
    "local, auto (the cluster that this machine belongs to), HOST:PORT or ray://HOST:PORT; off "
    "ends the connection; default: show the cluster, its nodes and what runs on it",
    nargs="?",
    name="on",
)
CLUSTER.result_options()


@magic(CLUSTER, interruptible=True)
def keras_cluster(session: Session, line: ParsedLine) -> Any:
    """Connect to a cluster or show it; ``%keras_cluster -h`` shows the options."""
    from kmagic.cluster.connection import OFF, connect, disconnect  # noqa: PLC0415 - not needed before

    if line.on == OFF:
        session.cluster = None
        disconnect()
        print("The notebook uses this machine alone.")  # noqa: T201 - for the reader
        return None
    address = line.on or session.cluster
    if address is None:
        line.fail(
            "the notebook uses no cluster",
            "",
            "Connect to one: `%keras_cluster local`, or its address instead of local.",
        )
    with line.marking_options():
        cluster = connect(address)
    session.cluster = cluster.address
    return session.deliver(cluster, out=line.out, quiet=line.quiet)
