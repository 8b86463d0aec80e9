"""Checks of the channel itself: what it says, what it refuses, how it ends. The table is in `contract_checks`."""

from __future__ import annotations

from vci_driver.api import ChannelClosed, ChannelLost, ChannelUnavailable, InterfaceMissing
from vci_driver.contract_rig import CannotCheck, ContractBroken, Rig, expect
from vci_driver.registry import driver
from wire.errors import BenchError, LocalMisuse, NotOnThisCarrier
from wire.frame import Frame

UNKNOWN_OPTION = "sgw_no_such_option"
LONGEST_SENTENCE = 1000
"""A reason longer than this is a traceback in disguise; the list of an interface's options fits."""


FRAME = Frame(0x714, b"\x02\x3e\x00")


# ---- the end


def closed_refuses(rig: Rig) -> None:
    """A closed channel refuses to send, by its name."""
    rig.one.close()
    try:
        rig.one.send(FRAME)
    except ChannelClosed as refused:
        expect(rig.one.name in str(refused), f"ChannelClosed does not name the channel {rig.one.name!r}: {refused}")
    else:
        raise ContractBroken("send on a closed channel did not raise ChannelClosed")


def close_twice(rig: Rig) -> None:
    """Closing twice does nothing."""
    rig.one.close()
    rig.one.close()
    rig.quiet()


def closed_hears_nothing(rig: Rig) -> None:
    """A closed channel hears nothing."""
    late: list[Frame] = []
    rig.one.listen(None, late.append)
    rig.one.close()
    rig.peer.send(FRAME)
    rig.quiet()
    expect(not late, f"a closed channel heard {late}")


def closed_confirms_nothing(rig: Rig) -> None:
    """A frame under way is not confirmed after close."""
    rig.one.send(FRAME)
    rig.one.close()
    rig.quiet()
    expect(not rig.sent, "a frame was confirmed after its channel was closed")


def open_again(rig: Rig) -> None:
    """A channel that was closed can be opened anew."""
    rig.one.close()
    again = rig.open_one()
    rig.need_acknowledge()
    if not getattr(again, "one_way", None):
        rig.listen_to_all()
    again.send(FRAME)
    rig.until(lambda: bool(rig.sent), "a channel that was closed and opened anew did not confirm its first frame")
    if not getattr(again, "one_way", None):
        rig.until(lambda: bool(rig.heard), "what was sent on a channel opened anew did not arrive")


def lost_told_once(rig: Rig) -> None:
    """A loss is told once; what is sent afterwards goes nowhere."""
    unplug = rig.setup.unplug
    if unplug is None:
        own = getattr(rig.one, "unplug", None)
        if own is None:
            raise CannotCheck("nothing here can pull the plug: --unplug COMMAND")
        unplug = lambda _: own()  # noqa: E731 - one line of glue
    rig.may_fault = True
    try:
        unplug(rig.one)
        rig.one.send(FRAME)  # some adapters are missed only when they are to do something
        rig.until(lambda: bool(rig.faults), "the plug was pulled, and no ChannelLost was told")
        rig.sent.clear()
        for _ in range(3):
            rig.one.send(FRAME)
        rig.quiet()
    finally:
        if rig.setup.replug is not None:
            rig.setup.replug()
    kinds = [type(fault).__name__ for fault in rig.faults]
    lost = [fault for fault in rig.faults if isinstance(fault, ChannelLost)]
    expect(len(lost) == 1, f"ChannelLost is told once; told were {kinds}")
    expect(rig.one.name in str(lost[0]), f"ChannelLost does not name the channel {rig.one.name!r}: {lost[0]}")
    expect(not rig.sent, "a frame was confirmed after the channel was lost")


# ---- what it says of itself


def names(rig: Rig) -> None:
    """Channel and driver have names."""
    name = rig.one.name
    expect(isinstance(name, str) and bool(name), f"the channel's name is {name!r}")
    expect(
        driver(rig.setup.one.driver).name == rig.setup.one.driver,
        "the driver's name is not the one it is registered by",
    )


def voltage(rig: Rig) -> None:
    """The supply voltage is told in millivolts, or refused with the reason."""
    try:
        voltage_mv = rig.one.supply_voltage_mv()
    except NotOnThisCarrier as reason:
        _sentence(reason)
        return
    expect(
        type(voltage_mv) is int and 0 <= voltage_mv <= 60_000, f"the supply is {voltage_mv!r}: it is told in millivolts"
    )


def timestamps(rig: Rig) -> None:
    """The adapter's stamps are whole nanoseconds and do not run backwards."""
    heard: list[int | None] = []
    rig.one.listen(None, lambda _: heard.append(rig.one.last_rx_timestamp_ns))
    for number in range(3):
        rig.peer.send(FRAME)
        rig.until(lambda number=number: len(heard) > number, "a frame of the peer did not arrive")  # type: ignore[misc]
    stamps = [stamp for stamp in heard if stamp is not None]
    if not stamps:
        raise CannotCheck("the channel has no stamps of its own")
    expect(stamps == sorted(stamps), f"the stamps of frames one after the other run backwards: {stamps}")
    expect(all(type(stamp) is int for stamp in stamps), f"stamps are whole nanoseconds, not {stamps[0]!r}")


def unknown_option(rig: Rig) -> None:
    """An option that the driver does not have is refused by name."""
    rig.one.close()
    try:
        rig.open_with(rig.setup.one.channel, {UNKNOWN_OPTION: 1})
    except LocalMisuse as refused:
        _sentence(refused)
        expect(UNKNOWN_OPTION in str(refused), f"the refusal does not name the option {UNKNOWN_OPTION!r}: {refused}")
        return
    reason = getattr(driver(rig.setup.one.driver), "options_unchecked", None)
    if reason:
        raise CannotCheck(str(reason))
    raise ContractBroken(f"the option {UNKNOWN_OPTION!r} was taken: a misspelt option would go unnoticed")


def missing_channel(rig: Rig) -> None:
    """Opening what is not there ends in one sentence."""
    missing = rig.setup.missing
    if missing == "":
        raise CannotCheck("on this carrier every name is a channel")
    name = missing or f"{rig.setup.one.channel}-not-there"
    try:
        rig.open_with(name, {})
    except (ChannelUnavailable, InterfaceMissing) as fault:
        _sentence(fault)
        return
    except Exception as error:
        raise ContractBroken(
            f"opening {name!r}, which is not there, raised {type(error).__name__} ({error}) and not ChannelUnavailable"
        ) from error
    raise ContractBroken(
        f"{name!r} was opened: if it is there, name one that is not (--missing NAME; --missing '' if every name is a channel)"
    )


def _sentence(error: Exception) -> None:
    text = str(error)
    expect(bool(text.strip()), f"{type(error).__name__} says nothing: it is read by a person")
    expect("\n" not in text and len(text) <= LONGEST_SENTENCE, f"{type(error).__name__} is not one sentence: {text}")


def detect(rig: Rig) -> None:
    """What the driver detects is described, and can be opened as it is told (tried with the channel under test)."""
    rig.one.close()
    name = rig.setup.one.driver
    everything = driver(name).detect()
    for found in everything:
        expect(
            found.driver == name, f"detect() found {found.channel!r} for the driver {found.driver!r}, not for {name!r}"
        )
        expect(bool(found.channel and found.description), f"detect() does not describe {found.channel!r}")
    mine = [found for found in everything if found.channel == rig.setup.one.channel]
    if everything and not mine:  # another adapter may stand on a live bus: opening it could disturb that
        raise CannotCheck(f"detected: {', '.join(found.channel for found in everything)}; not the channel under test")
    for found in mine:
        try:
            rig.open_found(found).close()
        except BenchError as fault:
            raise ContractBroken(f"detect() found {found.channel!r}, which cannot be opened: {fault}") from fault
