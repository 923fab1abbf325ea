"""Evaluation of models: confusion matrices, metrics, predictions, image classification."""
