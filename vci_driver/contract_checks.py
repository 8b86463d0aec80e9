"""The contract as a table: each check's name, and the function over a `Rig` whose docstring says what it proves.

The checks ask for nothing but what `vci_driver.api` promises. Add a row rather than widen one: a row that fails is to name one
fault.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from vci_driver import contract_channel as channel
from vci_driver import contract_traffic as traffic
from vci_driver.contract_rig import Rig


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One row of the contract."""

    name: str
    run: Callable[[Rig], None]

    @property
    def proves(self) -> str:
        """The sentence that says what it proves."""
        return inspect.getdoc(self.run) or ""


CHECKS = (
    Check(name="classic-frames", run=traffic.classic_frames),
    Check(name="fd-frames", run=traffic.fd_frames),
    Check(name="fd-refused", run=traffic.fd_refused),
    Check(name="order", run=traffic.order),
    Check(name="filters", run=traffic.filters),
    Check(name="burst", run=traffic.burst),
    Check(name="confirmed-once", run=traffic.confirmed_once),
    Check(name="confirmed-after-send", run=traffic.confirmed_after_send),
    Check(name="confirmed-first", run=traffic.confirmed_before_answer),
    Check(name="foreign-frames", run=traffic.foreign_frames),
    Check(name="nobody-to-tell", run=traffic.nobody_to_tell),
    Check(name="answer-inside", run=traffic.answer_inside),
    Check(name="close-inside", run=traffic.close_inside),
    Check(name="isotp-classic", run=traffic.isotp_classic),
    Check(name="isotp-fd", run=traffic.isotp_fd),
    Check(name="name", run=channel.names),
    Check(name="voltage", run=channel.voltage),
    Check(name="timestamps", run=channel.timestamps),
    Check(name="unknown-option", run=channel.unknown_option),
    Check(name="missing-channel", run=channel.missing_channel),
    Check(name="detect", run=channel.detect),
    Check(name="closed-refuses", run=channel.closed_refuses),
    Check(name="close-twice", run=channel.close_twice),
    Check(name="closed-deaf", run=channel.closed_hears_nothing),
    Check(name="closed-confirms-not", run=channel.closed_confirms_nothing),
    Check(name="open-again", run=channel.open_again),
    Check(name="lost-once", run=channel.lost_told_once),
)
"""The contract. The last row breaks the channel, and stays last."""
