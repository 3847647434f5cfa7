"""``python -m recovery`` is the command line, and `run` is what an installed ``requorum`` calls."""

import atexit
import gc
import os

# Nothing that is loaded is garbage, and the process's memory is given back as a whole. To search it costs 0.4 s.
gc.disable()
atexit.register(gc.freeze)

# Requorum has no plugin of pydantic. To look for one in every package costs 0.02 s.
os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"

from recovery.cli import main as run  # noqa: E402

if __name__ == "__main__":
    run()
