"""Decides what to do about what was found. Loads no client of S3, SSH or Docker."""
