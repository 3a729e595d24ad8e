"""libnftables by its C interface (libnftables(3)): a transaction is one call, no program is started."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from shared.errors import FailedPrecondition, Internal


class Nftables:
    """Speaks of the network namespace of the calling thread. Safe for use by many threads.

    A context lives as long as its transaction (it takes 0.1 ms): it would keep a copy of what it has seen of the host's
    tables, which may be megabytes. A thread frees it: closing its socket waits for the kernel to have destroyed what
    was deleted, 5 to 20 ms.
    """

    def __init__(self) -> None:
        self._library = _load()
        self._lock = threading.Lock()
        self._freeing = ThreadPoolExecutor(1, "nftables")

    def run(self, commands: str) -> str:
        """Carries all commands out in one transaction, or none of them, and answers what they print.

        Raises `Internal` with nft's own words.
        """
        if not commands:
            return ""
        with self._lock, self._context() as context:
            failed = self._library.nft_run_cmd_from_buffer(context, commands.encode())
            said = self._library.nft_ctx_get_error_buffer(context) or b""
            output = self._library.nft_ctx_get_output_buffer(context) or b""
        if failed:
            raise Internal(f"nftables: {said.decode(errors='replace').strip()}")
        return str(output.decode())

    @contextlib.contextmanager
    def _context(self) -> Iterator[int]:
        context = self._library.nft_ctx_new(0)
        if not context:
            raise FailedPrecondition("nftables is not usable on this host: nft_ctx_new failed")
        try:
            self._library.nft_ctx_buffer_output(context)
            self._library.nft_ctx_buffer_error(context)
            yield context
        finally:
            self._freeing.submit(self._library.nft_ctx_free, context)


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libnftables.so.1")
    except OSError:
        raise FailedPrecondition("libnftables.so.1 is missing on this host: install libnftables1") from None
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = (ctypes.c_uint32,)
    for name in ("nft_ctx_free", "nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = (ctypes.c_void_p,)
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).argtypes = (ctypes.c_void_p,)
        getattr(library, name).restype = ctypes.c_char_p
    library.nft_run_cmd_from_buffer.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
    return library
