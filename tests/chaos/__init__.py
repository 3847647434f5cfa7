"""Runs every loss of managers, with every state of the copies, on real swarms."""
