"""asyncssh, imported without its search for the library liboqs.

The search runs the C compiler and the linker, if the machine has them, which takes longer than to import asyncssh. Without
liboqs, asyncssh offers no post-quantum key exchange (asyncssh, crypto/pq.py).
"""

import ctypes.util


def _nothing(name: str) -> str | None:  # noqa: ARG001 - as the function whose place it takes
    return None


_find, ctypes.util.find_library = ctypes.util.find_library, _nothing
try:
    import asyncssh
finally:
    ctypes.util.find_library = _find

__all__ = ["asyncssh"]
