"""Reaches one node: shell, SSH, Docker engine."""
