"""Copies of service data, stored in S3 next to the copies of managers. The settings name the commands or the volume."""
