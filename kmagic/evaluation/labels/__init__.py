"""Samples whose label is probably wrong."""
