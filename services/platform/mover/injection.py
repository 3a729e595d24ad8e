"""A system call made by another process, for what the kernel gives a process for itself only (ptrace(2)).

Its first thread is stopped for a moment and calls through its vDSO; its registers, its signals and a system call that
it was in are as before afterwards. x86-64 only. As with criu's own code in a process, who kills the tracer within that
moment (some 100 microseconds) leaves the thread where it is.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator

from ..adapters import syscalls

_SEIZE, _INTERRUPT, _SYSCALL, _CONT, _DETACH = 0x4206, 0x4207, 24, 7, 17
_GETREGS, _SETREGS, _GETSIGMASK, _SETSIGMASK = 12, 13, 0x420A, 0x420B
_OPTIONS = 0x1 | 0x200000
"""PTRACE_O_TRACESYSGOOD, and PTRACE_O_SUSPEND_SECCOMP: its filter need not know what we call."""
_WALL = 0x40000000
_AT_SYSCALL = signal.SIGTRAP | 0x80
_EVENT_STOP = 128
_REGISTERS = struct.Struct("=27Q")
_AX, _DX, _SI, _DI, _NUMBER, _IP, _CS = 10, 12, 13, 14, 15, 16, 17
_LONG_MODE, _NONE = 0x33, (1 << 64) - 1
_CLOSE, _USERFAULTFD = 3, 323
_INSTRUCTION = b"\x0f\x05"
_USER_MODE_ONLY = 1
_ALL_SIGNALS = struct.pack("=Q", _NONE)
SECONDS = 0.2
"""For a thread to stop: one that waits for a disk, or is frozen, does not."""
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long


def userfaultfds(pids: Iterable[int]) -> dict[int, int]:
    """A userfaultfd of each process's memory; it keeps none itself. Those that it cannot be had of are left out, as
    are all after one that does not stop: that one must not wait for them, should it stop later.
    """
    wanted = list(pids)
    if platform.machine() != "x86_64" or not wanted:
        return {}
    ours, theirs = socket.socketpair()
    tracer = os.fork()  # whose end lets a thread go that did not stop
    if not tracer:
        try:
            ours.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGCHLD})
            for pid in wanted:
                try:
                    socket.send_fds(theirs, [struct.pack("=i", pid)], [_userfaultfd(pid)])
                except TimeoutError:
                    break
                except OSError:
                    pass
        finally:
            os._exit(0)
    theirs.close()
    with ours:
        found = dict(_received(ours))
    os.waitpid(tracer, 0)
    return found


def _received(connection: socket.socket) -> Iterator[tuple[int, int]]:
    while True:
        data, descriptors, _, _ = socket.recv_fds(connection, 4, 1)
        if not data:
            return
        os.set_inheritable(descriptors[0], False)
        yield struct.unpack("=i", data)[0], descriptors[0]


def _userfaultfd(pid: int) -> int:
    with _Thread(pid) as thread:
        number = thread.call(_USERFAULTFD, os.O_CLOEXEC | os.O_NONBLOCK | _USER_MODE_ONLY)
        try:
            process = os.pidfd_open(pid)
            try:
                return syscalls.descriptor_of(process, number)
            finally:
                os.close(process)
        finally:
            thread.call(_CLOSE, number)


class _Thread:
    """A thread that is stopped. `OSError` from all: it cannot be had, or has ended."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._place = _instruction(pid)
        self._later: list[int] = []
        self._ptrace(_SEIZE, _OPTIONS)
        self._ptrace(_INTERRUPT)
        self._await(_interrupted, time.monotonic() + SECONDS)
        self._registers = self._get_registers()
        self._mask = ctypes.create_string_buffer(8)
        self._signals(_GETSIGMASK, self._mask)

    def __enter__(self) -> _Thread:
        if self._registers[_CS] != _LONG_MODE:
            self._ptrace(_DETACH)
            raise OSError("it is no 64-bit program")
        self._signals(_SETSIGMASK, ctypes.create_string_buffer(_ALL_SIGNALS, 8))
        return self

    def __exit__(self, *_: object) -> None:
        """A system call that the stop broke off is begun anew by the kernel, which only does so after such a stop."""
        self._set_registers(self._registers)
        self._ptrace(_INTERRUPT)
        self._ptrace(_CONT)
        self._await(_interrupted)
        self._signals(_SETSIGMASK, self._mask)
        self._ptrace(_DETACH)
        for number in self._later:
            os.kill(self._pid, number)

    def call(self, number: int, first: int) -> int:
        """A system call's result."""
        registers = list(self._registers)
        registers[_AX], registers[_DI], registers[_IP], registers[_NUMBER] = number, first, self._place, _NONE
        self._set_registers(tuple(registers))
        for _ in range(2):  # before it, and after it
            self._ptrace(_SYSCALL)
            self._await(_calling)
        result = ctypes.c_int64(self._get_registers()[_AX]).value
        if result < 0:
            raise OSError(-result, os.strerror(-result), f"system call {number}")
        return result

    def _await(self, wanted: Callable[[int], bool], until: float | None = None) -> None:
        """Until it has stopped so. A signal that cannot be held back is given to it later."""
        while True:
            pid, status = os.waitpid(self._pid, _WALL | (0 if until is None else os.WNOHANG))
            if pid:
                if not os.WIFSTOPPED(status):
                    raise ProcessLookupError(self._pid)
                stopped = status >> 8
                if wanted(stopped):
                    return
                delivers = not stopped >> 8 and not _calling(stopped)
                if until is not None:  # nothing has been changed yet
                    self._ptrace(_CONT, stopped if delivers else 0)
                    continue
                if delivers:
                    self._later.append(stopped)
                self._ptrace(_SYSCALL)
            elif until is not None and not signal.sigtimedwait({signal.SIGCHLD}, max(0.0, until - time.monotonic())):
                raise TimeoutError(f"thread {self._pid} does not stop")

    def _get_registers(self) -> tuple[int, ...]:
        buffer = ctypes.create_string_buffer(_REGISTERS.size)
        self._ptrace(_GETREGS, ctypes.addressof(buffer))
        return _REGISTERS.unpack(buffer.raw)

    def _set_registers(self, registers: tuple[int, ...]) -> None:
        buffer = ctypes.create_string_buffer(_REGISTERS.pack(*registers), _REGISTERS.size)
        self._ptrace(_SETREGS, ctypes.addressof(buffer))

    def _signals(self, request: int, mask: ctypes.Array[ctypes.c_char]) -> None:
        self._ptrace(request, ctypes.addressof(mask), 8)

    def _ptrace(self, request: int, data: int = 0, address: int = 0) -> None:
        if _libc.ptrace(request, self._pid, address, data) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), "ptrace")


def _interrupted(stopped: int) -> bool:
    return stopped >> 8 == _EVENT_STOP


def _calling(stopped: int) -> bool:
    return stopped == _AT_SYSCALL


def _instruction(pid: int) -> int:
    """Where a system call can be made: somewhere in its vDSO."""
    with open(f"/proc/{pid}/maps") as file:
        found = re.search(r"^([0-9a-f]+)-([0-9a-f]+) .*\[vdso\]$", file.read(), re.MULTILINE)
    if not found:
        raise OSError("it has no vDSO")
    start, end = (int(each, 16) for each in found.groups())
    memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        at = os.pread(memory, end - start, start).find(_INSTRUCTION)
    finally:
        os.close(memory)
    if at < 0:
        raise OSError("its vDSO makes no system calls")
    return start + at
