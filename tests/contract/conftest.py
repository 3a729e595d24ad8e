"""Contract suites: they speak only through a bus, and run against whoever serves the contract.

**A suite** is the folder tests/contract/<service>/. Its conftest.py says once who can serve:

    @pytest.fixture(scope="session")
    def suite() -> Suite:
        return Suite(
            volume.CONTRACT,
            simulator=lambda kernel: VolumeSimulator(),                              # in memory, in this process
            neighbours={image_store.CONTRACT: lambda kernel: ImageStoreSimulator(kernel)},  # whom the service calls
            settings={"bridge_name": "shlt0"},                                       # more settings of the process
        )

Its tests take `bus` (and, where they need them, `streams` to take offers, `state` to look at records, `party` for
`party.kind` and `party.directory`), and call endpoints of the contract on the bus's own node:

    async def test_a_volume_is_made_once(bus: Bus) -> None:
        name = unique("volume")
        first = await bus.call(volume.CREATE, volume.CreateRequest(name=name))
        assert await bus.call(volume.CREATE, volume.CreateRequest(name=name)) == first

Each test runs with
- `simulator`: the model, on the in-memory twins; a new one for each test;
- `real`: `python -m services.<name>`, one process for the suite, on a broker that enforces the service's permissions;
- `replacement`: the same with tests/foreign/<service>/serve, where there is another implementation;
- `foreign`, and nothing else, when SHOAL_CONFORMANCE_NATS (the broker's URL), SHOAL_CONFORMANCE_NODE and, where the
  broker wants one, SHOAL_CONFORMANCE_SEED (the file of an nkey) are set: this is `shoal conformance <service>`.

So a test never assumes that the service is empty: it makes things with unique names, and removes them at its end
(or leaves what harms nobody). What only holds for one implementation does not belong here; what the model cannot do
is marked `@pytest.mark.parties("real")` (it runs against replacements and foreign ones too).
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import uvloop

from shared.bus import Bus
from shared.state import State
from shared.streams import Streams
from tests.support import parties
from tests.support.parties import Party, RealService, Suite


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "parties(*kinds): who can serve this test, where not all can")


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], object]]:
    """The loop that services run on."""
    return {"uvloop": uvloop.new_event_loop}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "_party_kind" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("parties")
        service = metafunc.definition.path.parent.name
        metafunc.parametrize("_party_kind", parties.kinds(service, marker.args if marker else ()))


@pytest.fixture(scope="session")
def _real_services() -> Iterator[Callable[[Suite, str], RealService]]:
    """One process per suite and kind, begun by the first test that needs it."""
    with ExitStack() as stack:
        made: dict[tuple[str, str], RealService] = {}

        def service(suite: Suite, kind: str) -> RealService:
            key = suite.contract.name, kind
            if key not in made:
                home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shoal-")))
                made[key] = RealService(suite, home, kind)
                stack.callback(made[key].close)
            return made[key]

        yield service


@pytest.fixture
async def party(
    _party_kind: str, suite: Suite, directory: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Party]:
    """Whoever serves the contract in this test."""
    if _party_kind == parties.SIMULATOR:
        async with parties.simulated(suite, directory) as made:
            yield made
    elif _party_kind in (parties.REAL, parties.REPLACEMENT):
        service = request.getfixturevalue("_real_services")(suite, _party_kind)
        async with parties.real(service) as made:
            yield made
    else:
        async with parties.foreign(directory) as made:
            yield made


@pytest.fixture
def bus(party: Party) -> Bus:
    """The connection to the service under test; its node is the service's."""
    return party.bus


@pytest.fixture
def state(party: Party) -> State:
    return party.state


@pytest.fixture
def streams(party: Party) -> Streams:
    return party.streams
