"""A cluster as a card: its nodes, what is free, and what runs on it."""

from __future__ import annotations

from kmagic.cluster.connection import Cluster
from kmagic.display.kit.card import (
    Bundle,
    card_html,
    escape_html,
    message_html,
    mime_bundle,
    scroll_html,
    table_html,
)
from kmagic.support.formatting import format_bytes, pluralize

_HEADS = ("node", "address", "CPUs", "GPUs", "memory", "shared data")
_FOOT = "Use it with `--on`; without an address, `%keras_cluster` shows it again."


def cluster_bundle(cluster: Cluster) -> Bundle:
    """The card of a cluster, and its text."""
    nodes, free, work = cluster.nodes, cluster.available, cluster.work
    rows = [
        (
            *map(escape_html, (node.host, node.ip, f"{node.cpus:g}", f"{node.gpus:g}")),
            *map(format_bytes, (node.memory, node.object_store)),
        )
        for node in nodes
    ]
    body = scroll_html(table_html(_HEADS, rows), "Nodes of the cluster")
    running = [
        f"{name} ({pluralize(count, 'process', 'processes')})" for name, count in work.items()
    ]
    texts = [f"Running: {', '.join(running) or 'nothing of kmagic'}.", *cluster.messages]
    body += "".join(f'<p style="margin:6px 0">{message_html(text)}</p>' for text in texts)
    facts = (
        f"cluster · {pluralize(len(nodes), 'node')} · {free['CPU']:g} of {cluster.cpus:g} CPUs free"
    )
    if cluster.gpus:
        facts += f" · {free['GPU']:g} of {cluster.gpus:g} GPUs free"
    return mime_bundle(cluster.to_text(), card_html(cluster.address, facts, body, foot=_FOOT))
