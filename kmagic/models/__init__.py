"""Keras models: from the layer language, back to it, and to Python code."""
