"""Clusters: the card of a connection."""
