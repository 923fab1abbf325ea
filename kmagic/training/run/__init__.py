"""The record of a training run."""
