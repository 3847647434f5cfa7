"""Declares the cluster as Pulumi resources; what is decided and done lives in `recovery`."""
