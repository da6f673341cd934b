"""The C library's heap, asked to keep what is freed, or to hand it back."""

from __future__ import annotations

import contextlib
import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # malloc.h of glibc
_MIB = 1 << 20


def keep_freed_memory() -> None:
    """Has this process keep large freed blocks for their next use; where the C library is not glibc, changes nothing.

    Every tick allocates the same megabytes of tensors and frees them. Handed back to the system, they must be mapped
    and cleared page by page at the next tick, which was a sixth of the time of a view. Blocks over 32 MiB, such as the
    full size's maps, would be handed back at once, whatever the threshold: none may be mapped by itself.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, 1024 * _MIB)
        mallopt(_TOP_PAD, 64 * _MIB)


def hand_back_freed_memory() -> None:
    """Hands all that is freed back to the system; where the C library is not glibc, changes nothing.

    Messages of all sizes, made and let go by turns, leave the heap full of holes: without this an evaluation grew by
    20 MB a frame, of which it used nothing.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
