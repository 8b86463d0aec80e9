"""The log of a running portal: one line an event, JSON for machines or plain for people.

Nothing secret gets in by construction: a line has the fields below and no others, and none of them holds what people send. What
libraries log is told by name and place, for their texts hold values: SQL parameters, addresses, paths. An exception is told by
its types and its way through the code, for the same reason. No value can end a line or reach a terminal's controls.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import threading
import traceback
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from contextvars import ContextVar
from enum import StrEnum
from functools import partial
from pathlib import PurePath
from types import TracebackType
from typing import Literal, Self, TextIO, TypedDict, Unpack

from wire.clock import NS_PER_MS, NS_PER_S

Form = Literal["json", "plain"]
REQUEST_ID: ContextVar[str | None] = ContextVar("REQUEST_ID", default=None)
"""Of the request that is being answered; its threads see it too."""
OWN = frozenset(("portal", "portal_sim", "sgw_bench", "bench", "wire"))
"""Loggers whose texts are ours: they are told, from the level that was asked for."""
TOLD_BY_TEMPLATE = frozenset(("uvicorn", "asyncio"))
"""Libraries whose texts are told without the values in them. Of all others only who, where and which exception."""
VALUE_MAX_LEN, MESSAGE_MAX_LEN = 200, 1000
FRAMES_MAX, CAUSES_MAX = 12, 4
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), 127)}


class Event(StrEnum):
    """What a line tells of."""

    STARTED = "started"
    STOPPING = "stopping"
    STOPPED = "stopped"
    REQUEST = "request"
    FAILED = "failed"
    ACTION = "action"
    NOTE = "note"
    LIBRARY = "library"
    WARNING = "warning"


class Fields(TypedDict, total=False):
    """What a line may tell beside its time, level and event. `route`: the template of a path, never the path."""

    request_id: str | None
    method: str
    route: str
    status: int
    duration_ms: float
    client: str
    message: str
    logger: str
    fault: str
    where: str
    url: str
    version: str
    signal: str
    action: str
    code: str | None
    outcome: str
    mail_id: int
    count: int


ALLOWED = frozenset(Fields.__annotations__)
_FROM_RECORDS = ("mail_id", "fault")
"""What our modules give to their log records as `extra` and a line may tell."""


class Log:
    """Writes events to `stream`, one line each. `utc_ns`: the clock of the lines. Every method may be called from any thread.

    A stream that no longer takes lines costs the lines, which are counted in `lost`, and nothing else.
    """

    def __init__(self, form: Form, stream: TextIO, utc_ns: Callable[[], int], *, level: int = logging.INFO) -> None:
        self.level = level
        self.lost = 0
        self._stream = stream
        self._utc_ns = utc_ns
        self._line = _json_line if form == "json" else _plain_line
        self._second = (-1, "")
        self._turn = threading.Lock()
        self._undo = ExitStack()

    def event(self, event: Event, *, level: int = logging.INFO, **fields: Unpack[Fields]) -> None:
        """Write an event; fields that are None, or that no line may tell, are left out."""
        if level < self.level:
            return
        told: dict[str, object] = {
            "time": self._time(),
            "level": logging.getLevelName(level).lower(),
            "event": event.value,
        }
        for name, value in fields.items():
            if value is None or name not in ALLOWED:
                continue
            kind = type(value)
            told[name] = value if kind is int or kind is float else _text(name, value)
        line = self._line(told)
        with self._turn:
            try:
                self._stream.write(line)
                self._stream.flush()
            except (OSError, ValueError):  # gone, full or closed: no reason to refuse people
                self.lost += 1

    def failed(self, event: Event, error: BaseException | None, *, level: int, **fields: Unpack[Fields]) -> None:
        """Write an event that an exception belongs to: its types, and the places that it came through."""
        if error is not None:
            fields["fault"] = _types(error)
            fields["where"] = _places(error) or fields.get("where", "")
        self.event(event, level=level, **fields)

    def close(self) -> None:
        """Give `logging` and `warnings` back as `setup` found them."""
        self._undo.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def on_close(self, undo: Callable[[], object]) -> None:
        """Have `close` call `undo`, last first."""
        self._undo.callback(undo)

    def _time(self) -> str:
        second, rest_ns = divmod(self._utc_ns(), NS_PER_S)
        last, text = self._second
        if second != last:
            text = dt.datetime.fromtimestamp(second, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = (second, text)
        return f"{text}.{rest_ns // NS_PER_MS:03d}Z"


_encoded = json.JSONEncoder(separators=(",", ":")).encode


def _json_line(told: dict[str, object]) -> str:
    return _encoded(told) + "\n"


def _plain_line(told: dict[str, object]) -> str:
    """Return time, level, event and the rest as name=value; a value that does not end where it ends is quoted."""
    time, level, event, *rest = told.values()
    names = list(told)[3:]
    return " ".join((f"{time} {level:<7} {event}", *map(_plain_pair, names, rest))) + "\n"


def _plain_pair(name: str, value: object) -> str:
    text = str(value)
    return f"{name}={text}" if text and not set(text) & {" ", '"', "="} else f"{name}={_encoded(text)}"


def _text(name: str, value: object) -> str:
    """Return a value as printable ASCII of bounded length, so that it neither ends a line nor steers a terminal."""
    text = value if isinstance(value, str) else str(value)
    most = MESSAGE_MAX_LEN if name in ("message", "where") else VALUE_MAX_LEN
    if len(text) > most:
        text = text[: most - 3] + "..."
    if text.isascii() and text.isprintable():
        return text
    return text.encode("ascii", "backslashreplace").decode("ascii").translate(_CONTROLS)


def _types(error: BaseException) -> str:
    """Return the types of an exception and of what caused it."""
    names: list[str] = []
    at: BaseException | None = error
    while at is not None and len(names) < CAUSES_MAX:
        names.append(type(at).__name__)
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    return " from ".join(names)


def _places(error: BaseException) -> str:
    """Return the places that an exception came through, the innermost first: code, and no value of a variable."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    return " < ".join(f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))


class _Bridge(logging.Handler):
    """Takes what goes through `logging` into the log."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`. Never raises."""
        top = record.name.partition(".")[0]
        own = top in OWN
        if not own and record.levelno < logging.WARNING:
            return
        fields: Fields = {"request_id": REQUEST_ID.get(), "logger": record.name}
        if own:
            fields["message"] = _message(record)
            for name in _FROM_RECORDS:
                if name in record.__dict__:
                    fields[name] = record.__dict__[name]  # type: ignore[literal-required]
        else:
            fields["where"] = f"{record.filename}:{record.lineno}"
            if top in TOLD_BY_TEMPLATE and isinstance(record.msg, str):
                fields["message"] = record.msg.partition("\n")[0]  # what follows is a traceback, or what was running
        error = record.exc_info[1] if record.exc_info else None
        self._log.failed(Event.NOTE if own else Event.LIBRARY, error, level=record.levelno, **fields)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - values that do not fit the text, or that fail to be written
        return str(record.msg)


def setup(form: Form, stream: TextIO, utc_ns: Callable[[], int], *, level: int = logging.INFO) -> Log:
    """Return a log to which all of `logging` and `warnings` and what ends threads goes, until it is closed.

    The server's access log is off: it writes paths. Make uvicorn's configuration with `log_config=None`, which else undoes this.
    """
    log = Log(form, stream, utc_ns, level=level)
    bridge = _Bridge(log)
    root = logging.getLogger()
    root.addHandler(bridge)
    log.on_close(partial(root.removeHandler, bridge))
    for name in OWN:
        _set(log, name, level=level)
    for name in ("uvicorn", "uvicorn.error"):
        _set(log, name, level=logging.WARNING, handlers=[], propagate=True)
    _set(log, "uvicorn.access", level=logging.CRITICAL, handlers=[], propagate=False)
    _set(log, "mail.log", level=logging.ERROR)  # aiosmtpd's: tells who writes to whom
    _replace(log, warnings, "showwarning", _showing(log))
    _replace(log, threading, "excepthook", _excepting(log))
    return log


def _set(log: Log, name: str, *, level: int, **attributes: object) -> None:
    """Set level and attributes of a logger for as long as the log is open."""
    logger = logging.getLogger(name)
    log.on_close(partial(logger.setLevel, logger.level))
    logger.setLevel(level)
    for attribute, value in attributes.items():
        _replace(log, logger, attribute, value)


def _replace(log: Log, owner: object, attribute: str, value: object) -> None:
    before = getattr(owner, attribute)
    setattr(owner, attribute, value)
    log.on_close(partial(setattr, owner, attribute, before))


def _showing(log: Log) -> Callable[..., None]:
    """Return what stands for `warnings.showwarning`: the kind of a warning and where; its text may hold values."""

    def show(_message: object, category: type[Warning], filename: str, lineno: int, *_: object, **__: object) -> None:
        where = f"{PurePath(filename).name}:{lineno}"
        log.event(Event.WARNING, level=logging.WARNING, fault=category.__name__, where=where)

    return show


def _excepting(log: Log) -> Callable[[threading.ExceptHookArgs], None]:
    """Return what stands for `threading.excepthook`, which prints texts of exceptions."""

    def ended(how: threading.ExceptHookArgs) -> None:
        if how.exc_type is not SystemExit:
            name = how.thread.name if how.thread else "a thread"
            log.failed(Event.FAILED, how.exc_value, level=logging.ERROR, message=f"{name} ended")

    return ended
