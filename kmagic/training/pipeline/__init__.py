"""The fast training loop: several batches per call of the graph."""
