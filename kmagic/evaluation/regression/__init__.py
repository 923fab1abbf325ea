"""Errors of regression models: figures with intervals, the worst rows, two models compared."""
