"""How raw data becomes what a model takes: learned once from the training data, then reused."""
