"""Describes a swarm with values and file formats. Has no effects."""
