"""Checks of model, data and options before training."""
