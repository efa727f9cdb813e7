"""The relay between two services: nothing is lost in passing, and somebody may stand in."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from pytest_orchestrator._domain.hop import HangUp, Hop, Reply, Request
from pytest_orchestrator._stack.relay import Hops, Relay

LARGE = b"0123456789abcdef" * 400_000
SAID = {"said": "ja"}


class Service(BaseHTTPRequestHandler):
    """Answers by path, in every way HTTP has."""

    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        self.body = self.rfile.read(length)
        getattr(self, f"at_{self.path.split('?')[0].strip('/') or 'json'}")()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = _serve  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        """Send an answer with a length."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def at_json(self) -> None:
        """Some JSON, with a header that is given twice."""
        self.send_response(200)
        body = json.dumps(SAID).encode()
        for name, value in (
            ("content-type", "application/json"), ("set-cookie", "a=1"), ("set-cookie", "b=2"),
            ("content-length", str(len(body))),
        ):  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def at_echo(self) -> None:
        """What was asked, and with which headers."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        told = {"body": self.body.decode(), "headers": headers, "path": self.path}
        self.answer(200, json.dumps(told).encode(), content_type="application/json")

    def at_large(self) -> None:
        """Megabytes."""
        self.answer(200, LARGE)

    def at_gzip(self) -> None:
        """Compressed JSON, whatever was asked for."""
        self.answer(200, gzip.compress(json.dumps(SAID).encode()), content_encoding="gzip")

    def at_chunked(self) -> None:
        """JSON in three pieces, the last of them late."""
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in (b'{"said"', b": ", b'"ja"}'):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        time.sleep(0.2)
        self.wfile.write(b"0\r\n\r\n")

    def at_old(self) -> None:
        """As HTTP/1.0 does: the end of the body is that of the connection."""
        self.wfile.write(b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n")
        self.wfile.write(json.dumps(SAID).encode())
        self.close_connection = True

    def at_nothing(self) -> None:
        """No content."""
        self.send_response(204)
        self.end_headers()

    def at_unchanged(self) -> None:
        """Not modified, with the length of what is not sent."""
        self.send_response(304)
        self.send_header("content-length", "14")
        self.end_headers()

    def at_early(self) -> None:
        """Less than was promised."""
        self.send_response(200)
        self.send_header("content-length", "100")
        self.end_headers()
        self.wfile.write(b'{"said":')
        self.close_connection = True

    def at_odd(self) -> None:
        """A length that is none."""
        self.send_response(200)
        self.send_header("content-length", "ten")
        self.end_headers()
        self.wfile.write(b'{"said":10}')
        self.close_connection = True

    def at_silent(self) -> None:
        """Not a byte."""
        self.close_connection = True

    def at_slow(self) -> None:
        """What was asked, after a moment."""
        time.sleep(0.1)
        self.at_echo()


class Server(ThreadingHTTPServer):
    """Takes as many connections at once as there are."""

    request_queue_size = 128
    daemon_threads = True


@pytest.fixture
def service() -> Iterator[str]:
    """The address of a service."""
    server = Server(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def hops() -> Hops:
    """What has been recorded."""
    return Hops()


@pytest.fixture
def relay(service: str, hops: Hops) -> Iterator[Relay]:
    """A relay in front of the service."""
    relay = Relay("core", lambda: service, hops)
    hops.connect(relay)
    relay.start()
    yield relay
    relay.stop()


@pytest.fixture
def http(relay: Relay) -> Iterator[httpx.Client]:
    """Whoever asks, through the relay."""
    with httpx.Client(base_url=relay.url, trust_env=False, timeout=10.0) as client:
        yield client


def only(hops: Hops) -> Hop:
    """The one exchange there was."""
    (hop,) = hops
    return hop


@pytest.mark.parametrize("path", ["/json", "/gzip", "/chunked", "/old"])
def test_answer_arrives_and_is_recorded(path: str, http: httpx.Client, hops: Hops) -> None:
    """With a length, compressed, in pieces, until the connection ends: it is the same answer."""
    answer = http.get(f"{path}?a=b%20c")

    assert answer.json() == SAID
    assert (200, SAID, f"{path}?a=b%20c") == (only(hops).status, only(hops).answer, only(hops).path)
    assert not only(hops).stood_in


def test_header_that_is_given_twice_arrives_twice(http: httpx.Client) -> None:
    """Two cookies are not one."""
    assert http.get("/json").headers.get_list("set-cookie") == ["a=1", "b=2"]


def test_service_gets_the_askers_headers_and_no_others(http: httpx.Client, service: str) -> None:
    """But for what concerns one connection, and codings that nobody here could read."""
    sent = {"user-agent": "me", "x-own": "1", "accept-encoding": "br;q=1, gzip;q=0.5, zstd"}

    got = http.post("/echo", json={"a": 1}, headers=sent).json()

    assert got["body"] == '{"a":1}'
    assert got["headers"] == {
        "host": service.removeprefix("http://"), "accept": "*/*", "user-agent": "me", "x-own": "1",
        "accept-encoding": "gzip;q=0.5", "content-type": "application/json", "content-length": "7",
    }  # fmt: skip


def test_asker_without_a_coding_gets_none(http: httpx.Client) -> None:
    """Asked for what cannot be read, the service is told to leave it as it is."""
    got = http.get("/echo", headers={"accept-encoding": "br"}).json()

    assert got["headers"]["accept-encoding"] == "identity"


def test_request_in_pieces_arrives_whole(http: httpx.Client, hops: Hops) -> None:
    """As .NET and streams send it: without a length."""
    got = http.post("/echo", content=iter([b'{"question":', b' "why?"}'])).json()

    assert got["body"] == '{"question": "why?"}'
    assert only(hops).question == "why?"


def test_large_bodies_arrive(http: httpx.Client, hops: Hops) -> None:
    """Six megabytes, there and back."""
    assert http.get("/large").content == LARGE
    assert http.post("/echo", content=LARGE).json()["body"] == LARGE.decode()
    assert [hop.status for hop in hops] == [200, 200]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("HEAD", "/json", 200), ("GET", "/nothing", 204), ("GET", "/unchanged", 304)],
)
def test_answer_without_a_body_keeps_nobody_waiting(
    method: str, path: str, status: int, http: httpx.Client, hops: Hops
) -> None:
    """Also if it says how long the body would be; the connection can be used again."""
    for _ in range(2):
        answer = http.request(method, path, timeout=2.0)
        assert (status, b"") == (answer.status_code, answer.content)
    assert [hop.status for hop in hops] == [status, status]


@pytest.mark.parametrize("path", ["/early", "/odd", "/silent"])
def test_answer_that_breaks_off_breaks_off(path: str, http: httpx.Client, hops: Hops) -> None:
    """The asker sees what it would see without the relay, and no answer of the relay's own."""
    with pytest.raises(httpx.RemoteProtocolError):
        http.get(path)

    assert [hop.status for hop in hops if hop.path == "/early"] == [0] * (path == "/early")


def test_service_that_is_down_gives_no_answer(hops: Hops) -> None:
    """Nor does the relay invent one."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        relay = Relay("core", lambda: f"http://127.0.0.1:{nobody.getsockname()[1]}", hops)
        relay.start()
        with pytest.raises(httpx.TransportError):
            httpx.get(relay.url, trust_env=False)
        relay.stop()


def test_pieces_arrive_when_they_are_sent(http: httpx.Client) -> None:
    """Whoever streams is not held up until the end."""
    started_s = time.monotonic()
    with http.stream("GET", "/chunked") as answer:
        pieces = answer.iter_raw()
        next(pieces)
        first_s = time.monotonic() - started_s
        list(pieces)

    assert first_s < time.monotonic() - started_s - 0.1


def test_twenty_ask_at_once(http: httpx.Client, hops: Hops) -> None:
    """They do not wait for each other, and each gets its own."""
    started_s = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        got = list(pool.map(lambda n: http.post("/slow", json={"question": str(n)}), range(20)))

    assert [json.loads(g.json()["body"])["question"] for g in got] == [str(n) for n in range(20)]
    assert {hop.question for hop in hops} == {str(n) for n in range(20)}
    assert time.monotonic() - started_s < 20 * 0.1


@pytest.mark.parametrize("line", ["GET /chunked HTTP/1.0", "GET http://core:8000/chunked HTTP/1.0"])
def test_asker_of_http_1_0_gets_no_chunks(line: str, relay: Relay, hops: Hops) -> None:
    """It would take them for the body; the whole address in the first line is fine, too."""
    with socket.create_connection(("127.0.0.1", int(relay.url.rpartition(":")[2]))) as asker:
        asker.sendall(f"{line}\r\n\r\n".encode())
        got = b"".join(iter(lambda: asker.recv(4096), b""))

    assert got.endswith(b'\r\n\r\n{"said": "ja"}')
    assert only(hops).path == "/chunked"


# ---------------------------------------------------------------- somebody stands in


def test_stand_in_answers_in_the_services_place(http: httpx.Client, hops: Hops) -> None:
    """As long as it stands in, and only to what it wants to."""

    def line(request: Request) -> Reply | None:
        if request.path != "/echo":
            return None
        return Reply(418, request.body, "text/plain", (("x-own", "1"),))

    with hops.standing_in("core", line):
        stood_in, passed_on = http.post("/echo", json={"question": "q"}), http.get("/json")
    after = http.post("/echo", json={"question": "q"})

    assert (418, '{"question":"q"}', "1") == (
        stood_in.status_code, stood_in.text, stood_in.headers["x-own"]
    )  # fmt: skip
    assert passed_on.json() == SAID
    assert after.status_code == 200
    assert [hop.stood_in for hop in hops] == [True, False, False]
    assert next(iter(hops)).answer == {"question": "q"}


def test_stand_in_takes_its_time(http: httpx.Client, hops: Hops) -> None:
    """Seconds before the answer, without keeping others waiting."""
    with (
        hops.standing_in("core", lambda r: Reply(delay_s=0.3 if r.path == "/slow" else 0.0)),
        ThreadPoolExecutor(2) as pool,
    ):
        started_s = time.monotonic()
        slow = pool.submit(http.get, "/slow")
        assert http.get("/json").elapsed.total_seconds() < 0.25
        assert slow.result().status_code == 200
        assert time.monotonic() - started_s >= 0.3


@pytest.mark.parametrize("fault", [HangUp(), Reply(body=b"0123456789", sent_bytes=4), HangUp(0.05)])
def test_stand_in_breaks_off(fault: Reply | HangUp, http: httpx.Client, hops: Hops) -> None:
    """Nothing, or a part, and then the connection is closed."""
    with hops.standing_in("core", lambda _: fault), pytest.raises(httpx.RemoteProtocolError):
        http.get("/json")

    assert (0, True) == (only(hops).status, only(hops).stood_in)


@pytest.mark.parametrize(
    "fault", [HangUp(60.0), Reply(body=b"0123456789", sent_bytes=4, silence_s=60.0)]
)
def test_stand_in_hangs_until_the_asker_leaves_or_all_is_over(
    fault: Reply | HangUp, http: httpx.Client, hops: Hops, relay: Relay
) -> None:
    """The asker's patience ends first; closing the relay waits for nobody."""
    with hops.standing_in("core", lambda _: fault), pytest.raises(httpx.ReadTimeout):
        http.get("/json", timeout=0.3)

    started_s = time.monotonic()
    relay.stop()
    assert time.monotonic() - started_s < 2.0


def test_connections_are_refused_and_then_not(http: httpx.Client, hops: Hops, relay: Relay) -> None:
    """As if the service were down, on the same port; connections that are open end, too."""
    assert http.get("/json").json() == SAID
    with hops.refusing("core"):
        with pytest.raises(httpx.TransportError):  # the kept connection
            http.get("/json")
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{relay.url}/json", trust_env=False)
    assert http.get("/json").json() == SAID


def test_port_stays_the_relays_own_while_it_refuses(hops: Hops, relay: Relay) -> None:
    """Nobody else can listen where services still look for this one."""
    with hops.refusing("core"), socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", int(relay.url.rpartition(":")[2])))
