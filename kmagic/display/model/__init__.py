"""Cards and diagrams of models."""
