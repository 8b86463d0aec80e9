"""What is typed stays what it is: no second header, no second mail, no way out of a folder, no depth or length that hurts."""

from __future__ import annotations

import contextlib
import socket
import zlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from http_server import serving
from portal_people import COMPANY, Counter, Visitor, manager, signed_in
from served_portal import TOKEN, HttpCounter

from portal_sim.mail.letter import LetterHead
from portal_sim.web.serving import ServingLimits
from wire import portal_api as api
from wire.portal_api import PortalErrorCode as Code
from wire.portal_control import CONTROL_ROUTES
from wire.portal_routes import ROUTES, Place

BREAKS = [
    "\r\nBcc: thief@evil.example",
    "\nBcc: thief@evil.example",
    "\r",
    "\x0b",
    "\x0c",
    "\x85",
    "\u2028",
    "\u2029",
    "\0",
    "\x1b[2J",
]
CLIMBS = [
    *("../../etc/passwd", "..%2f..%2fetc%2fpasswd", "..%252f..%252fetc%252fpasswd", "%2e%2e/%2e%2e/x", "....//....//x"),
    *(
        "..\\..\\x",
        "..%5c..%5cx",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "%c0%ae%c0%ae%c0%afx",
        "x%00.json",
        ".",
        "..",
        "%2e",
        "%2e%2e",
    ),
]
WITH_NAMES = [(route.method, route.path) for route in (*ROUTES, *CONTROL_ROUTES) if route.at(Place.PATH)]


@pytest.fixture(scope="module")
def served() -> Iterator[HttpCounter]:
    with contextlib.ExitStack() as stack:
        yield HttpCounter(stack)


def talk(url: str, raw: bytes) -> bytes:
    """Send bytes as they are, which no client library would, and return all that comes back."""
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=10) as line:
        line.sendall(raw)
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_WR)
        pieces = []
        with contextlib.suppress(OSError):
            while piece := line.recv(65536):
                pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize("broken", BREAKS)
def test_no_address_and_no_name_brings_a_header_into_a_mail(broken: str) -> None:
    counter = Counter()
    for email in (f"tessa{broken}@workshop.example", f"tessa@workshop.example{broken}"):
        with counter.refused(Code.INVALID_INPUT):
            counter.call(api.SignUp(email=email, password="long enough, surely"))
    boss = signed_in(counter)
    with counter.refused(Code.INVALID_INPUT):
        boss.fill_in(first_name=f"Tessa{broken}")
    boss = manager(counter)
    with counter.refused(Code.INVALID_INPUT):
        boss.company(legal_name=f"Example{broken} Ltd")
    with counter.refused(Code.INVALID_INPUT):
        boss.invite(Visitor(counter, f"x{broken}"))


@pytest.mark.parametrize(
    "name", ["Bcc: thief@evil.example", "=?utf-8?q?=0D=0ABcc=3A_x=40evil.example?=", "{{7*7}}", "%0d%0aBcc:x"]
)
def test_a_company_whose_name_looks_like_a_header_is_a_word_in_the_subject(name: str) -> None:
    counter = Counter()
    boss, guest = manager(counter), signed_in(counter, "conrad")
    boss.company(legal_name=name)
    boss.validate()
    boss.invite(guest)
    mail = guest.mails()[-1]
    written = LetterHead(sender="portal@portal.example", public_url="https://portal.example").write(mail, 1)
    head = written.as_bytes().partition(b"\n\n")[0]
    assert not [line for line in head.lower().splitlines() if line.startswith((b"bcc", b"cc:"))]
    assert mail.subject == f"Invitation to {name}"


@pytest.mark.parametrize(("method", "path"), WITH_NAMES)
@pytest.mark.parametrize("climb", CLIMBS)
def test_no_name_in_an_address_climbs_out_of_its_place(served: HttpCounter, method: str, path: str, climb: str) -> None:
    before, _, after = path.partition("{")
    line = f"{method} {before}{climb}{after.partition('}')[2]} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n"
    raw = talk(
        served.url,
        f"{line}Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode(),
    )
    head, _, body = raw.partition(b"\r\n\r\n")
    assert int(head.split()[1]) in {400, 401, 404, 405, 422}, head
    assert b"root:" not in body


@pytest.mark.parametrize(
    "head",
    [
        b"X-A: b\r\n X-C: d",  # a folded line
        b"Authorization: Bearer a\r\nAuthorization: Bearer b",
        b"Content-Length: 2\r\nContent-Length: 3",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked, chunked",
        b'Idempotency-Key: "a\rSet-Cookie: b"',
        b"X\0Y: z",
    ],
)
def test_a_head_that_can_be_read_in_two_ways_sets_nothing_and_smuggles_nothing(
    served: HttpCounter, head: bytes
) -> None:
    smuggled = b"GET /control/v1/state HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n\r\n"
    raw = talk(
        served.url, b"POST /v1/accounts HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + head + b"\r\n\r\n{}" + smuggled
    )
    assert raw.count(b"HTTP/1.1 ") <= 1
    assert b"audit_records" not in raw
    assert b"set-cookie" not in raw.lower()


def test_a_head_that_does_not_end_is_stopped(served: HttpCounter) -> None:
    with serving(served.app, h11_max_incomplete_event_size=ServingLimits().head_max_bytes) as url:
        raw = talk(url, b"GET /v1/keys HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * (4 * ServingLimits().head_max_bytes))
    assert not raw or raw.startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize("depth", [10, 300, 900, 950, 980, 1000, 3000, 6000, 30_000])
@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
def test_depth_is_refused_and_breaks_nothing(served: HttpCounter, depth: int, opened: str, closed: str) -> None:
    body = '{"email":' + opened * depth + "1" + closed * depth + "}"
    answer = served.http.post("/v1/accounts", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 413, 422}
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_a_body_that_says_it_is_packed_is_not_unpacked(served: HttpCounter, encoding: str) -> None:
    bomb = zlib.compress(b" " * 50_000_000)
    answer = served.http.post(
        "/v1/accounts", content=bomb, headers={"content-type": "application/json", "content-encoding": encoding}
    )
    assert answer.status_code in {400, 413, 415}


QUOTES = [
    "' OR '1'='1",
    '"; DROP TABLE accounts; --',
    "%' AND 1=1 --",
    "$(id)",
    "`id`",
    "${jndi:ldap://x/y}",
    "{{7*7}}",
    "<script>x</script>",
]


@pytest.mark.parametrize("typed", QUOTES)
def test_what_looks_like_a_program_is_kept_as_it_was_typed(typed: str) -> None:
    counter = Counter()
    boss = manager(counter)
    boss.company(**{**COMPANY, "legal_name": typed})
    boss.validate()
    record = counter.portal.audit_log()[-1]
    assert (record.company, record.subject) == (typed, typed)
    page = counter.call(api.ReadAudit(session=boss.browser, person=typed, action=typed, vin=typed))
    assert page.records == ()
    with counter.refused(Code.LOGIN_FAILED):
        counter.call(api.PortalLogin(email=boss.email, password=typed))


def test_no_origin_is_let_in_and_no_method_that_is_not_in_use(served: HttpCounter) -> None:
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for method in ("OPTIONS", "TRACE", "CONNECT", "PATCH", "PROPFIND"):
        answer = served.http.request(method, "/v1/accounts", headers=headers)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"
        assert not [name for name in answer.headers if name.startswith("access-control")]
    answer: httpx.Response = served.http.get(
        "/v1/keys", headers={**headers, "X-Forwarded-For": "10.0.0.1", "X-HTTP-Method-Override": "DELETE"}
    )
    assert answer.status_code == 200
    assert "server" not in answer.headers or "/" not in answer.headers["server"]
