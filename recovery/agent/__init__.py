"""The agent of a manager. It takes a copy on schedule and after each change, tests it, and stores it in S3.

systemd runs the agent with the node's own Python, and with only the files of `recovery.operations.bundle`. The agent
has no stack file, no SSH and none of the operator's keys.
"""
