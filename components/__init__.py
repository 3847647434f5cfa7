"""Declares the cluster as Pulumi resources. `recovery` decides and acts."""
