"""What a model gets right and wrong: confusion matrices, metrics, pictures with their classes."""
