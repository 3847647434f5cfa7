"""The machines: one module for each host driver."""
