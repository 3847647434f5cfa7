"""The agent of a manager: it takes a copy on schedule and after each change, tests it, and stores it in S3.

systemd runs it with the node's own Python and with the files of `recovery.operations.bundle` only: without a stack file, without
SSH, and without the operator's keys.
"""
