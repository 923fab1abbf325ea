"""Cards of predictions and classified images."""
