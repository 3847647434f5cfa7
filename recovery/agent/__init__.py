"""The agent of a manager: it takes a copy on schedule and after each change, proves it there, and stores it in S3.

It is run by systemd with the node's own Python, with what `recovery.operations.bundle` carries to the node and nothing more:
no stack file, no SSH, none of the operator's keys.
"""
