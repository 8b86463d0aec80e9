"""A load, in a process of its own: prebuilt requests over kept connections, by threads that mostly wait. Told by one JSON job on
standard input; answers with one JSON line.

Without a rate each connection sends its next request when it has its answer. With one, requests are due at even times, whether
the service keeps up or not, and a latency counts from the time that one was due, so that a stall is not left out of the figures.
"""

from __future__ import annotations

import json
import resource
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length: "


@dataclass
class Job:
    """`requests` are sent in order, by whichever connection is free; `repeat`: over and over, until `seconds` have passed."""

    host: str
    port: int
    connections: int
    requests: list[str]
    seconds: float
    repeat: bool = True
    rate: float | None = None


@dataclass
class Tally:
    """What came of it. Latencies in seconds."""

    statuses: dict[int, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    turn: threading.Lock = field(default_factory=threading.Lock)

    def add(self, status: int, latency_s: float) -> None:
        """Count an answer."""
        with self.turn:
            self.statuses[status] = self.statuses.get(status, 0) + 1
            self.latencies.append(latency_s)


class Connection:
    """One kept connection."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def ask(self, request: bytes) -> int:
        """Send a request; return the status of its answer, which is read to its end."""
        self._socket.sendall(request)
        data = self._rest
        while (end := data.find(HEAD_END)) < 0:
            data += self._more()
        head = data[:end].lower()
        at = head.find(LENGTH)
        size = int(head[at + len(LENGTH) :].split(b"\r", 1)[0]) if at >= 0 else 0
        whole = end + len(HEAD_END) + size
        while len(data) < whole:
            data += self._more()
        self._rest = data[whole:]
        return int(head[9:12])

    def _more(self) -> bytes:
        data = self._socket.recv(65_536)
        if not data:
            raise ConnectionError("the service hung up")
        return data


def run(job: Job) -> dict[str, object]:
    """Carry out a job."""
    requests = [request.encode() for request in job.requests]
    due: Iterator[tuple[int, bytes]] = enumerate(cycle(requests) if job.repeat else requests)
    if job.rate is not None:
        due = islice(due, int(job.rate * job.seconds))
    tally, turn = Tally(), threading.Lock()
    connections = [Connection(job.host, job.port) for _ in range(job.connections)]
    begin = time.perf_counter()

    def work(connection: Connection) -> None:
        while True:
            with turn:
                number, request = next(due, (-1, b""))
            started = time.perf_counter()
            if number < 0 or (job.rate is None and started - begin >= job.seconds):
                return
            if job.rate is not None:
                started = begin + number / job.rate
                time.sleep(max(0.0, started - time.perf_counter()))
            status = connection.ask(request)
            tally.add(status, time.perf_counter() - started)

    threads = [threading.Thread(target=work, args=(connection,)) for connection in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s = time.perf_counter() - begin
    used = resource.getrusage(resource.RUSAGE_SELF)
    ordered = sorted(tally.latencies)
    return {
        "statuses": tally.statuses,
        "seconds": took_s,
        "cpu_s": used.ru_utime + used.ru_stime,
        "p50_s": ordered[len(ordered) // 2] if ordered else 0.0,
        "p99_s": ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] if ordered else 0.0,
    }


if __name__ == "__main__":
    json.dump(run(Job(**json.load(sys.stdin))), sys.stdout)
