"""Several runs of a model on parts of the same data: cross-validation."""
