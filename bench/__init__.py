"""Measures recoveries, and compares them with work by hand, in one run on one lab."""
