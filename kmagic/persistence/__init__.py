"""Models as files: written whole or not at all, read without running what is in them."""
