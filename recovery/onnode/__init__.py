"""The program that runs on a node: it takes a copy, proves it in a sandbox, and seals it.

It is sent through the SSH connection and run by the node's own Python, 3.10 or newer, with nothing
but the standard library. `recovery.node.program` is what sends it.
"""
