"""asyncssh, imported without its search for the library liboqs.

The search runs the C compiler and the linker, if the machine has them, which takes longer than to import asyncssh. Without
liboqs, asyncssh offers no post-quantum key exchange (asyncssh, crypto/pq.py).
"""

import ctypes.util

_find, ctypes.util.find_library = ctypes.util.find_library, lambda _: None
try:
    import asyncssh
finally:
    ctypes.util.find_library = _find

__all__ = ["asyncssh"]
