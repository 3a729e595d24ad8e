"""A program in a restored process's place: its memory is registered with a userfaultfd that it hands over as criu does.

Arguments: where the memory begins, its pages, the folder of `lazy-pages.socket`, its number. Then it does what it reads
line by line, and answers each with one line.
"""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import os
import socket
import struct
import sys

PAGE = 4096
USERFAULTFD = {"x86_64": 323, "aarch64": 282}[os.uname().machine]
API, REGISTER = 0xC018AA3F, 0xC020AA00
FORK, REMAP, REMOVE, UNMAP = 1 << 1, 1 << 2, 1 << 3, 1 << 6
RUN = 0x52535446
FIXED, MAY_MOVE, TO_THERE = 0x100000, 1, 2
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = libc.mremap.restype = ctypes.c_void_p
libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
libc.mremap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p)
libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
libc.ioctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)


def need(well: bool, what: str) -> None:
    if not well:
        raise OSError(ctypes.get_errno(), what)


def register(start: int, length: int) -> int:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | FIXED
    need(libc.mmap(start, length, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0) == start, "mmap")
    descriptor: int = libc.syscall(USERFAULTFD, os.O_CLOEXEC | os.O_NONBLOCK)
    need(descriptor >= 0, "userfaultfd")
    asked = ctypes.create_string_buffer(struct.pack("=QQQ", 0xAA, FORK | REMAP | REMOVE | UNMAP, 0), 24)
    need(libc.ioctl(descriptor, API, asked) == 0, "UFFDIO_API")
    asked = ctypes.create_string_buffer(struct.pack("=QQQQ", start, length, 1, 0), 32)
    need(libc.ioctl(descriptor, REGISTER, asked) == 0, "UFFDIO_REGISTER")
    return descriptor


def content(address: int, pages: int) -> str:
    return hashlib.sha256(ctypes.string_at(address, pages * PAGE)).hexdigest()


def forked(address: int, pages: int) -> str:
    """What a child reads there."""
    reader, writer = os.pipe()
    if not os.fork():
        os.write(writer, content(address, pages).encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as told:
        said = told.read()
    os.wait()
    return said


def main() -> None:
    start, pages, number = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[4])
    os.chdir(sys.argv[3])  # the path may be too long for a socket's
    criu = socket.socket(socket.AF_UNIX)
    criu.connect("lazy-pages.socket")
    descriptor = register(start, pages * PAGE)
    criu.sendall(struct.pack("=i", number))
    socket.send_fds(criu, [b"\0"], [descriptor])
    os.close(descriptor)
    print("ready", flush=True)
    for line in sys.stdin:
        word, *given = line.split()
        numbers = [int(each) for each in given]
        said = "done"
        if word == "run" and criu.fileno() >= 0:
            criu.sendall(struct.pack("=I", RUN))
            criu.close()
        elif word == "read":
            said = content(*numbers)
        elif word == "fork":
            said = forked(*numbers)
        elif word == "move":
            old, new, length = numbers
            need(libc.mremap(old, length, length, MAY_MOVE | TO_THERE, new) == new, "mremap")
        elif word == "forget":
            need(libc.madvise(*numbers, mmap.MADV_DONTNEED) == 0, "madvise")
        elif word == "unmap":
            need(libc.munmap(*numbers) == 0, "munmap")
        print(said, flush=True)


if __name__ == "__main__":
    main()
