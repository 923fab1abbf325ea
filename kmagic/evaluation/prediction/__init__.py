"""Predictions and metrics of a model on new data."""
