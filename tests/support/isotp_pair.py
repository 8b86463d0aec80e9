"""Two ISO-TP stacks on one bus, for tests."""

from wire.can_bus import CanBus
from wire.endpoint import Endpoint
from wire.isotp_door import CLASSIC, Failed, IsoTpOptions, Received
from wire.isotp_stack import IsoTpStack
from wire.world import World


class Side:
    def __init__(self, world: World, bus: CanBus, tx_id: int, rx_id: int, options: IsoTpOptions, stream: bool) -> None:
        self.world = world
        self.stack = IsoTpStack()
        self.channel = self.stack.add(0, tx_id=tx_id, rx_id=rx_id, options=options, stream=stream)
        self.name = f"{tx_id:x}"
        self.outputs = self.stack.outputs
        self.receive, self.frame_sent = self.stack.receive, self.stack.frame_sent
        self.handle_timer, self.next_deadline = self.stack.handle_timer, self.stack.next_deadline
        self.port = bus.attach(self.name)
        self.endpoint = Endpoint(world, self, [(self.port, [rx_id])])

    def send(self, payload: bytes) -> None:
        self.stack.send(self.channel, payload, self.world.now_ns)
        self.endpoint.flush()

    @property
    def received(self) -> list[bytes]:
        return [event.payload for event in self.stack.events if isinstance(event, Received)]

    @property
    def failures(self) -> list[Exception]:
        return [event.error for event in self.stack.events if isinstance(event, Failed)]


def pair(
    one: IsoTpOptions = CLASSIC, two: IsoTpOptions = CLASSIC, *, fd: bool = False, stream: bool = False
) -> tuple[World, CanBus, Side, Side]:
    world = World()
    bus = CanBus(world, "can", fd=fd)
    return world, bus, Side(world, bus, 0x700, 0x708, one, False), Side(world, bus, 0x708, 0x700, two, stream)
