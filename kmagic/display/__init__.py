"""Results as text, HTML, images and widgets."""
