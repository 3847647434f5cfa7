"""``python -m recovery`` is the command line."""

import atexit
import gc

# Nothing that is loaded is garbage, and the process's memory is given back as a whole. To search it costs 0.4 s.
gc.disable()
atexit.register(gc.freeze)

from recovery.cli import main  # noqa: E402

main()
