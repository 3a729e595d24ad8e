import subprocess
import sys

PROGRAM = """
import os, re
from tools.supervisor import memory
junk = [bytes(size) for size in range(0, 480) for _ in range(50)]
del junk[::2]
def private_after_making_things():
    reading, writing = os.pipe()
    if not os.fork():
        things = [bytes(size) for size in range(0, 480) for _ in range(20)]
        text = open("/proc/self/smaps_rollup").read()
        os.write(writing, re.search(r"Private_Dirty:\\s+(\\d+)", text)[1].encode())
        os._exit(0)
    os.wait()
    return int(os.read(reading, 100))
before = private_after_making_things()
print(memory.fill_holes() > 1000, private_after_making_things() < before)
"""


def test_with_the_holes_filled_new_things_copy_fewer_pages():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "True True\n", done.stderr


HEAP = """
import ctypes
from shared.memory import use_one_arena
from tools.supervisor import memory
use_one_arena()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
taken = [libc.malloc(size) for size in range(32, 800, 16) for _ in range(40)]
for block in taken[::2]:
    libc.free(block)
holes = set(taken[::2])
filled = memory.fill_heap()
again = {libc.malloc(size) for size in range(32, 800, 16) for _ in range(20)}
print(100_000 < filled < memory.MOST_FILLED, len(again & holes) < 50, memory.fill_heap() < 50_000)
"""


def test_with_the_holes_of_the_heap_filled_nothing_new_lies_in_one():
    done = subprocess.run([sys.executable, "-c", HEAP], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "True True True\n", done.stdout + done.stderr


HOLES = """
from tools.supervisor import memory
memory.fill_holes()
print(memory.fill_holes() < 1000)
"""


def test_filling_again_takes_next_to_nothing():
    """In a process where nothing else is done meanwhile."""
    done = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "True\n", done.stdout + done.stderr


FROZEN = """
import gc, os
from tools.supervisor import memory
memory.freeze()
print(gc.isenabled(), gc.get_freeze_count() > 1000, len(gc.get_objects()) < 1000)
"""


def test_what_is_frozen_is_out_of_sight_of_the_garbage_collector():
    done = subprocess.run([sys.executable, "-c", FROZEN], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "False True True\n", done.stderr
