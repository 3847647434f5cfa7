"""Measures recovery against what operators do by hand, in one run on one lab."""
