"""Shared by all other packages: errors, formatting, suggestions, downloads."""
