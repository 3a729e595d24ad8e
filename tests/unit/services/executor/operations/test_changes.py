from __future__ import annotations

import pytest

from shared.contracts import executor as contract
from shared.contracts.common import Ref
from shared.errors import NotFound
from tests.support.executor_node import Node


async def test_the_image_store_tells(node: Node) -> None:
    container_id = await node.create("true")
    assert (await node.call(contract.CHANGES, Ref(id=container_id))).ticket == container_id
    with pytest.raises(NotFound):
        await node.call(contract.CHANGES, Ref(id="nope"))
