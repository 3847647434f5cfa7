"""Carries out the steps of a plan, one file an action."""
