"""Training: Keras's ``fit`` with a record, a live view and a faster pipeline."""
