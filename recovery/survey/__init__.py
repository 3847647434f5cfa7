"""Looks at every node and changes nothing."""
