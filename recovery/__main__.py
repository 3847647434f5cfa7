"""``python -m recovery`` is the command line."""

from recovery.cli import main

main()
