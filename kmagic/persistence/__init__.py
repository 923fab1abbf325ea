"""Models as files: written completely or not at all, and loaded without running code in them."""
