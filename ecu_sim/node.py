"""A control unit on a bus: an ISO-TP stack with a physical and functional channels, and the UDS server behind it.

Beside its answers it sends frames of its own (0x2A). `on_bitrate` is told when the unit's controller goes to a rate of its own
(0x87), or back to its bus's (None); what was under way at the old rate is lost.
"""

from __future__ import annotations

from collections.abc import Callable

from ecu_sim.server import UdsServer
from wire.frame import Frame
from wire.isotp_door import IsoTpOptions, Received
from wire.isotp_stack import IsoTpStack


class EcuNode:
    """One control unit as a `wire.endpoint.Core` with one port (0). Functional requests are single frames only.

    `options` None: classic CAN, padded as the profile says.
    """

    __slots__ = (
        "_bitrate",
        "_functional",
        "_lane",
        "_physical",
        "frame_sent",
        "name",
        "on_bitrate",
        "outputs",
        "pacing",
        "server",
        "stack",
    )

    def __init__(self, server: UdsServer, options: IsoTpOptions | None = None) -> None:
        profile = server.profile
        options = options or IsoTpOptions(padding=profile.padding)
        self.name = profile.name
        self.server = server
        self.stack = stack = IsoTpStack()
        self.outputs = stack.outputs
        self.frame_sent = stack.frame_sent
        self.pacing = stack.pacing
        self.on_bitrate: Callable[[int | None], None] | None = None
        self._bitrate: int | None = None
        self._lane = stack.add_lane(0)
        self._physical = stack.add(0, tx_id=profile.response_id, rx_id=profile.request_id, options=options)
        self._functional = [
            stack.add(0, tx_id=None, rx_id=can_id, options=options, functional=True)
            for can_id in profile.functional_ids
        ]

    def listen_ids(self) -> tuple[int, ...]:
        """Return the identifiers this unit hears."""
        return self.stack.listen_ids(0)

    def receive(self, port: int, frame: Frame, now_ns: int) -> None:
        """Take a frame; a whole request goes to the server."""
        server = self.server
        if not server.reachable:
            return
        stack = self.stack
        stack.receive(port, frame, now_ns)
        if stack.events:
            self._serve_events(now_ns)

    def _serve_events(self, now_ns: int) -> None:
        events, server = self.stack.events, self.server
        while events:
            event = events.popleft()
            if type(event) is Received:
                server.receive(event.payload, event.channel is not self._physical, now_ns)
                if server.outputs:
                    self._send_answers(now_ns)

    def _send_answers(self, now_ns: int) -> None:
        outputs, stack, physical = self.server.outputs, self.stack, self._physical
        while outputs:
            answer = outputs.popleft()
            if physical.full:  # a flood: requests have priority on the bus, so answers pile up
                self.server.note(now_ns, "dropped", f"answer {answer[:3].hex(' ')}: too many wait for the bus")
            else:
                stack.send(physical, answer, now_ns)

    def handle_timer(self, now_ns: int) -> None:
        """Do what is due in the stack and the server."""
        self.stack.handle_timer(now_ns)
        self._serve_events(now_ns)
        server = self.server
        server.handle_timer(now_ns)
        self._send_answers(now_ns)
        frames = server.frames
        while frames:
            can_id, data = frames.popleft()
            self._lane.send(self._padded(can_id, data))
        if server.state.link_bitrate != self._bitrate:
            self._change_bitrate(server.state.link_bitrate)

    def _padded(self, can_id: int, data: bytes) -> Frame:
        padding = self.server.profile.padding
        return Frame(can_id, data if padding is None else data.ljust(8, bytes((padding,))))

    def _change_bitrate(self, bitrate: int | None) -> None:
        self._bitrate = bitrate
        if self.on_bitrate is not None:
            self.stack.drop()
            self.on_bitrate(bitrate)

    def next_deadline(self) -> int | None:
        """Return the earlier of both."""
        stack, server = self.stack.next_deadline(), self.server.next_deadline()
        if stack is None:
            return server
        return stack if server is None or stack < server else server

    def lose_supply(self) -> None:
        """Forget every transfer in progress."""
        self.stack.drop()
