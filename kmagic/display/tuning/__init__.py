"""A search for hyperparameters as a card."""
