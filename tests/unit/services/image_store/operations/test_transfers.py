from __future__ import annotations

import asyncio

import pytest

from services.image_store.domain.progress import Step
from services.image_store.operations.transfers import Tell, Transfers


class Client:
    """Sees what it is told; `held` until it may go on."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.may = asyncio.Event()
        self.may.set()

    async def __call__(self, step: Step) -> None:
        await self.may.wait()
        self.seen.append(f"{step.id} {step.status} {step.current}")


class Work:
    """Goes on when told to; `runs` counts how often it was begun."""

    def __init__(self) -> None:
        self.runs = 0
        self.cancels = 0
        self.steps: asyncio.Queue[Step | Exception | str] = asyncio.Queue()

    async def __call__(self, tell: Tell) -> str:
        self.runs += 1
        try:
            while True:
                step = await self.steps.get()
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, str):
                    return step
                await tell(step)
        except asyncio.CancelledError:
            self.cancels += 1
            raise


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def transfers() -> Transfers:
    return Transfers()


async def test_two_who_want_the_same_share_it_and_see_the_same(transfers: Transfers) -> None:
    work, one, two = Work(), Client(), Client()
    first = asyncio.ensure_future(transfers.join("k", work, one))
    work.steps.put_nowait(Step("a", "Waiting"))
    work.steps.put_nowait(Step("a", "Downloading", 5, 10))
    await settle()
    second = asyncio.ensure_future(transfers.join("k", work, two))
    await settle()
    assert transfers.keys() == {"k"}
    work.steps.put_nowait(Step("a", "Downloading", 10, 10))
    await settle()
    work.steps.put_nowait("done")
    assert [await first, await second] == ["done", "done"]
    assert one.seen == two.seen == ["a Waiting 0", "a Downloading 5", "a Downloading 10"]
    assert (work.runs, transfers.keys()) == (1, set())


async def test_one_who_leaves_takes_nothing_from_the_other(transfers: Transfers) -> None:
    work, one, two = Work(), Client(), Client()
    first = asyncio.ensure_future(transfers.join("k", work, one))
    second = asyncio.ensure_future(transfers.join("k", work, two))
    await settle()
    first.cancel()
    await settle()
    assert work.cancels == 0
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert work.cancels == 1
    assert transfers.keys() == set()


async def test_who_comes_while_it_is_being_cancelled_begins_anew(transfers: Transfers) -> None:
    work, client = Work(), Client()
    first = asyncio.ensure_future(transfers.join("k", work, client))
    await settle()
    first.cancel()
    second = asyncio.ensure_future(transfers.join("k", work, client))
    await settle()
    work.steps.put_nowait("done")
    assert await second == "done"
    assert work.runs == 2


async def test_a_slow_client_holds_up_nobody_and_costs_no_memory(transfers: Transfers) -> None:
    work, slow, quick = Work(), Client(), Client()
    slow.may.clear()
    both = [asyncio.ensure_future(transfers.join("k", work, each)) for each in (slow, quick)]
    for size in range(1, 1001):
        work.steps.put_nowait(Step("a", "Downloading", size, 1000))
    work.steps.put_nowait("done")
    await both[1]
    assert quick.seen[-1] == "a Downloading 1000"
    slow.may.set()
    await both[0]
    assert slow.seen[-1] == "a Downloading 1000"
    assert len(slow.seen) <= 3


async def test_an_error_reaches_everybody(transfers: Transfers) -> None:
    work = Work()
    both = [asyncio.ensure_future(transfers.join("k", work, Client())) for _ in range(2)]
    await settle()
    work.steps.put_nowait(ValueError("broken"))
    assert [str(each) for each in await asyncio.gather(*both, return_exceptions=True)] == ["broken", "broken"]
    work.steps.put_nowait("fine")
    assert await transfers.join("k", work, Client()) == "fine"


async def test_work_with_other_keys_is_other_work(transfers: Transfers) -> None:
    work = Work()
    both = [asyncio.ensure_future(transfers.join(key, work, Client())) for key in ("k", "l")]
    for answer in ("one", "two"):
        work.steps.put_nowait(answer)
    assert sorted(await asyncio.gather(*both)) == ["one", "two"]


async def test_closing(transfers: Transfers) -> None:
    work = Work()
    joined = asyncio.ensure_future(transfers.join("k", work, Client()))
    await settle()
    await transfers.close()
    assert work.cancels == 1
    with pytest.raises(asyncio.CancelledError):
        await joined
