"""Copies of what services keep: beside the cluster's in S3, by the commands or the volume that the settings name."""
