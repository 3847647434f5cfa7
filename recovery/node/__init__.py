"""Reaches one node by shell, SSH and its Docker engine."""
