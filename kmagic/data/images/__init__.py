"""Image files: how they are read, and folders of them."""
