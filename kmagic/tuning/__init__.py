"""Hyperparameter sweeps: a model text with ranges becomes a study of trials."""
