"""Decides what to do about a survey. Loads no client of S3, SSH or Docker."""
