"""The fit: Keras's own, watched, and stopped without loss."""
