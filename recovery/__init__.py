"""Decides what a damaged swarm needs, and does it. Imports no Pulumi."""
