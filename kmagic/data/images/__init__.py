"""Image files: which ones there are, and how they are read."""
