"""Decide what to do about what was found; pure."""
