"""Decides what a job of a pipeline does about a cluster, and words what it tells. Pure: uses no clock and no network."""
