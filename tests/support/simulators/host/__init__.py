"""A simulated host: platform, image store, network and volumes in memory, able to misbehave.

For the services that stand on these: what a call changes is kept, so that a test sees what was left behind.
"""

from tests.support.simulators.host.behaviour import Behaviour
from tests.support.simulators.host.image_store import ImageStoreSimulator
from tests.support.simulators.host.network import NetworkSimulator
from tests.support.simulators.host.platform import PlatformSimulator
from tests.support.simulators.host.volume import VolumeSimulator
from tests.support.simulators.host.world import World

__all__ = [
    "Behaviour",
    "ImageStoreSimulator",
    "NetworkSimulator",
    "PlatformSimulator",
    "VolumeSimulator",
    "World",
]
