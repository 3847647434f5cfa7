"""Copies of managers: format, making, catalog, choice, retention."""
