"""Results as text, HTML, pictures and widgets: one module each."""
