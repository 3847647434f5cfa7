"""The program that runs on a node. It takes a copy, tests it in a sandbox, and seals it.

`recovery.node.program` sends the program through the SSH connection. The node's own Python, 3.10 or newer, runs it. The
program uses only the standard library.
"""
