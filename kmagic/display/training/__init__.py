"""The live view of a training run, and its card."""
