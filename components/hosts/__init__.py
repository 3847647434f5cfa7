"""The machines: what makes them, one module for each driver, and the resources of all."""
