import asyncio
import subprocess
import sys

from shared import memory
from shared.memory import Rest

RELEASED = """
import gc, json, re, decimal, ssl
from shared import memory
def sizes(kind):
    text = open("/proc/self/smaps_rollup").read()
    return sum(int(size) for size in re.findall(rf"(?:Private|Shared)_{kind}:\\s+(\\d+)", text))
memory.use_one_arena()
gc.disable()
clean = sizes("Clean")
class Node: pass
for _ in range(2000):
    node = Node()
    node.itself, node.filling = node, bytes(3000)
kept = bytes(3000)  # above the garbage in the heap: only a trim gives back what is below
dirty = sizes("Dirty")
del node
memory.release()
print(sizes("Clean") < clean, sizes("Dirty") < dirty - 4000, json.loads("[1]"), decimal.Decimal(1) / 4)
"""


def test_garbage_free_memory_and_code_go_back_and_the_code_still_runs():
    done = subprocess.run([sys.executable, "-c", RELEASED], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "True True [1] 0.25\n", done.stderr


async def test_a_process_tidies_up_once_after_work(monkeypatch):
    released = asyncio.Event()
    count = []

    def release():
        count.append(1)
        released.set()

    monkeypatch.setattr(memory, "release", release)
    rest = Rest(quiet=0.01)
    for expected in (1, 2):
        released.clear()
        for _ in range(5):
            rest.worked()
        await asyncio.wait_for(released.wait(), 60)
        assert len(count) == expected


async def test_nothing_is_tidied_up_while_there_is_work(monkeypatch):
    monkeypatch.setattr(memory, "release", lambda: None)
    loop, rest = asyncio.get_running_loop(), Rest(quiet=3600)
    rest.worked()
    first = rest._timer
    rest.worked()
    assert rest._timer is first, "one timer, however much work"
    monkeypatch.setattr(loop, "time", lambda: rest._last + 1800)
    rest._look()
    assert rest._timer is not None
    assert rest._timer is not first
    rest._timer.cancel()
