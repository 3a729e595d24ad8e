from shared.testing import serving
from tests.support.echo import CONTRACT, ECHO, EchoService, Text


async def test_a_reply_comes_back(world):
    kernel = await world.kernel()
    async with serving(kernel, CONTRACT, EchoService(kernel)):
        assert await kernel.bus.call(ECHO, Text(text="hello")) == Text(text="hello")
