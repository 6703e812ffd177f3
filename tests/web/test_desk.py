"""One thread receives and answers: over real sockets, with applications that wait, fail, and answer much."""

import contextlib
import gc
import re
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from load import wait_for

from stork.config import Settings
from stork.turn import pass_turn
from stork.web.clients import SWEEP_SECONDS, Limits
from stork.web.connection import HEADER_BYTES, HEADERS, Connection
from stork.web.desk import LOOK_SECONDS, Desk

Start = Callable[..., Any]
GET = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
BIG = b"x" * 20_000_000
OWED = 50_000_000  # two such answers and their heads, and not three


class Application:
    """Answers with its path and body; some paths wait for `go`, and some are defects."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.seen: list[dict[str, Any]] = []
        self.inside = 0
        self.most = 0
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Start) -> list[bytes]:
        self.seen.append(environ)
        path = environ["PATH_INFO"]
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        try:
            if path == "/waits":
                pass_turn()
                pass_turn()  # it may be said twice
            if path in ("/waits", "/hangs"):
                assert self.go.wait(20)
            if path == "/defect":
                raise RuntimeError("as planned")
            if path == "/disk":
                raise FileNotFoundError("as planned, too")
            headers = [("Content-Type", "text/plain"), ("X-Odd", "a\r\nX-Bad: b" if path == "/odd" else "ok")]
            body = BIG if path == "/big" else f"{path} ".encode() + environ["wsgi.input"].read()
            start("204 No Content" if path == "/nothing" else "200 OK", headers)
            return [body]
        finally:
            with self._lock:
                self.inside -= 1


class Reception:
    """A running desk, and ways to talk to it."""

    def __init__(self, app: Application, desk: Desk, port: int) -> None:
        self.app = app
        self.desk = desk
        self.port = port

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=15)

    def exchange(self, sent: bytes) -> bytes:
        """All that is answered until the connection is closed."""
        with self.connect() as connection:
            with contextlib.suppress(OSError):
                connection.sendall(sent)
            return read_all(connection)

    def ask(self, path: bytes) -> bytes:
        return self.exchange((GET % path).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))


def read_all(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(1 << 20):
            received += part
    return received


def read_one(connection: socket.socket) -> bytes:
    """One answer, by its length."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += receive(connection, 1)
    found = re.search(rb"Content-Length: (\d+)", received)
    assert found is not None
    body = b""
    while len(body) < int(found[1]):
        body += receive(connection, int(found[1]) - len(body))
    return received + body


def gets_all(connection: socket.socket) -> bool:
    """Whether an answer is sent to its end, rather than ended within."""
    try:
        return read_one(connection).endswith(BIG)
    except (AssertionError, ConnectionResetError):
        return False


def receive(connection: socket.socket, most: int) -> bytes:
    part = connection.recv(most)
    assert part, "the connection ended within an answer"
    return part


@contextlib.contextmanager
def reception(threads: int = 2, watched: bool = True, **given: Any) -> Iterator[Reception]:
    """A desk in this process; what it needs watching for is done by a thread, if at all."""
    app = Application()
    values = {name: given.pop(name) for name in ("queue", "deadline", "max_body") if name in given}
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    desk = Desk(app, [listener], threads, Settings(**values), Limits(**given))  # type: ignore[arg-type]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            if watched:
                desk.watch()

    watcher = threading.Thread(target=watch)
    desk.open()
    watcher.start()
    try:
        yield Reception(app, desk, listener.getsockname()[1])
    finally:
        app.go.set()
        ended.set()
        watcher.join()
        desk.close()
        listener.close()


def test_one_thread_answers_whoever_does_not_wait() -> None:
    """Eight clients, four threads: no two of them are ever answered at the same time."""
    with reception(threads=4) as at:

        def client() -> None:
            with at.connect() as connection:
                for _ in range(50):
                    connection.sendall(GET % b"/quick")
                    read_one(connection)

        clients = [threading.Thread(target=client) for _ in range(8)]
        for each in clients:
            each.start()
        for each in clients:
            each.join()

    assert (len(at.app.seen), at.app.most) == (400, 1)


@pytest.mark.parametrize("path", [b"/waits", b"/hangs"])
def test_who_waits_keeps_nobody_waiting(path: bytes) -> None:
    """Whether an answer passes the turn on by itself or has it taken: others are answered meanwhile."""
    with reception() as at, at.connect() as waiting:
        waiting.sendall(GET % path)
        assert wait_for(lambda: at.app.inside == 1)
        answers = {at.ask(b"/quick")[-7:] for _ in range(5)}
        at.app.go.set()

        assert (answers, read_one(waiting)[-7:]) == ({b"/quick "}, path + b" ")


def test_so_many_are_answered_at_the_same_time_and_no_more() -> None:
    """The others wait in the order in which they came, and hear it if too many do; nobody is forgotten."""
    with reception(threads=2, queue=3) as at, contextlib.ExitStack() as stack:
        connections = [stack.enter_context(at.connect()) for _ in range(6)]
        for number, connection in enumerate(connections[:5]):
            connection.sendall(GET % (b"/waits" if number < 2 else b"/waits?%d" % number))
            assert wait_for(lambda n=number: at.desk._away + len(at.desk._waiting) == n + 1)  # type: ignore[misc]
        connections[5].sendall(GET % b"/quick")
        refused = read_one(connections[5])
        inside = at.app.inside
        at.app.go.set()
        answers = [read_one(connection) for connection in connections[:5]]

    assert (inside, at.app.most) == (2, 3)  # who is one too many is answered by who receives
    assert refused.endswith(b"/quick ") and all(answer.endswith(b"/waits ") for answer in answers)
    assert ["stork.excess" in environ for environ in at.app.seen] == [False, False, True, False, False, False]
    assert [environ["stork.waiting"] for environ in at.app.seen] == [0, 0, 3, 0, 1, 2]
    assert [environ["QUERY_STRING"] for environ in at.app.seen[3:]] == ["2", "3", "4"]


@pytest.mark.parametrize("queue", [0, 2])
def test_nobody_is_too_many_for_answers_that_do_not_wait(queue: int) -> None:
    """A hundred ask at once, again and again: whom the queue does not hold is read a moment later."""
    with reception(queue=queue) as at, contextlib.ExitStack() as stack:
        connections = [stack.enter_context(at.connect()) for _ in range(100)]
        for _ in range(5):
            for connection in connections:
                connection.sendall(GET % b"/quick")
            assert all(read_one(connection).endswith(b"/quick ") for connection in connections)

    assert len(at.app.seen) == 500 and not any("stork.excess" in environ for environ in at.app.seen)
    assert max(environ["stork.waiting"] for environ in at.app.seen) < max(1, queue)


def test_who_asks_again_at_once_comes_after_those_who_are_not_read_yet() -> None:
    """Three whose next request is there before their answer, where one may wait: each is answered in its turn."""
    with reception(threads=1, queue=1) as at, contextlib.ExitStack() as stack:
        connections = [stack.enter_context(at.connect()) for _ in range(3)]

        def answer(environ: dict[str, Any], start: Start) -> list[bytes]:
            time.sleep(2 * LOOK_SECONDS)
            if len(at.app.seen) < 15:
                connections[int(environ["PATH_INFO"][1:])].sendall(GET % environ["PATH_INFO"].encode())
            return at.app(environ, start)

        at.desk._app = answer  # type: ignore[assignment]
        for number, connection in enumerate(connections):
            connection.sendall(GET % b"/%d" % number)
        assert wait_for(lambda: len(at.app.seen) >= 15)
        answered = [environ["PATH_INFO"] for environ in at.app.seen[3:15]]

    assert {path: answered.count(path) for path in answered} == {"/0": 4, "/1": 4, "/2": 4}


def test_who_is_one_too_many_on_a_busy_connection_hears_it_at_once() -> None:
    """The thread that answered the request before it sees to it: the one with the turn sleeps, and knows of nothing."""
    with reception(threads=1, queue=1) as at, at.connect() as first, at.connect() as second:
        first.sendall(GET % b"/waits" + GET % b"/refused")
        assert wait_for(lambda: at.desk._away == 1)
        second.sendall(GET % b"/waits")
        assert wait_for(lambda: len(at.desk._waiting) == 1)
        at.app.go.set()
        began = time.monotonic()
        answers = [read_one(first), read_one(first)]
        took = time.monotonic() - began

    assert answers[1].endswith(b"/refused ") and took < SWEEP_SECONDS
    refused = next(seen for seen in at.app.seen if seen["PATH_INFO"] == "/refused")
    assert refused["stork.waiting"] == 1 and refused["stork.excess"]


def test_one_who_is_too_many_and_waits_keeps_nobody_waiting() -> None:
    """A slow page while the queue is full: there is a spare thread for it, and those after it are told at once."""
    with reception(threads=1, queue=0) as at, contextlib.ExitStack() as stack:
        connections = [stack.enter_context(at.connect()) for _ in range(2)]
        for number, connection in enumerate(connections):
            connection.sendall(GET % b"/waits")
            assert wait_for(lambda n=number: at.app.inside == n + 1)  # type: ignore[misc]
        told = at.ask(b"/quick")
        at.app.go.set()
        answers = [read_one(connection) for connection in connections]
        assert wait_for(lambda: at.desk._away == 0)

    assert told.endswith(b"/quick ") and all(answer.endswith(b"/waits ") for answer in answers)


def test_after_a_wait_one_thread_answers_again() -> None:
    """A thread that was away goes back: two that answer the same clients would get into each other's way."""
    with reception(threads=2) as at, at.connect() as waiting:
        waiting.sendall(GET % b"/waits")
        assert wait_for(lambda: at.app.inside == 1)
        at.app.go.set()
        read_one(waiting)
        assert wait_for(lambda: at.desk._away == 0)
        at.app.most = 0
        with contextlib.ExitStack() as stack:
            for connection in [stack.enter_context(at.connect()) for _ in range(8)]:
                connection.sendall((GET % b"/quick") * 20)
                for _ in range(20):
                    read_one(connection)

    assert at.app.most == 1


def test_requests_sent_at_once_are_answered_in_order() -> None:
    """Pipelining, also behind one that waits; the client has ended its side already."""
    paths = [b"/waits", *(b"/%d" % n for n in range(50))]
    with reception() as at, at.connect() as connection:
        connection.sendall(b"".join(GET % path for path in paths))
        connection.shutdown(socket.SHUT_WR)
        assert wait_for(lambda: at.app.inside == 1)
        at.app.go.set()
        received = read_all(connection)

    assert re.findall(rb"(/\w+) (?=HTTP|$)", received) == paths


def test_a_defect_is_a_500_and_the_connection_goes_on(capfd: pytest.CaptureFixture[str]) -> None:
    """Also a header that would end its line, of which nothing is sent, and trouble that is not the connection's."""
    with reception() as at, at.connect() as connection:
        answers = []
        for path in (b"/defect", b"/odd", b"/disk", b"/quick"):
            connection.sendall(GET % path)
            answers.append(read_one(connection))

    assert [answer[9:12] for answer in answers] == [b"500", b"500", b"500", b"200"]
    assert not any(b"X-Bad" in answer for answer in answers)
    said = capfd.readouterr().err
    assert "RuntimeError: as planned" in said and "FileNotFoundError: as planned, too" in said


@pytest.mark.parametrize("sent", [b"HEAD /quick", b"HEAD /defect", b"GET /nothing"])
def test_an_answer_that_has_no_body_gets_none(sent: bytes) -> None:
    """Whatever the application gives: what follows would pass for the next answer."""
    with reception() as at:
        answers = at.exchange(
            sent + b" HTTP/1.1\r\nHost: localhost\r\n\r\n" + b"GET /next HTTP/1.1\r\nConnection: close\r\n\r\n"
        )

    assert answers.partition(b"\r\n\r\n")[2].startswith(b"HTTP/1.1 200 OK")


def test_a_client_that_reads_slowly_holds_no_thread() -> None:
    """More of them than threads, with twenty megabytes each: they get all of it, and others are answered meanwhile."""
    with reception(threads=1) as at, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(at.connect()) for _ in range(4)]
        for connection in slow:
            connection.sendall(GET % b"/big")
        assert wait_for(lambda: len(at.app.seen) == 4)
        assert all(at.ask(b"/quick").endswith(b"/quick ") for _ in range(5))

        assert all(read_one(connection).endswith(BIG) for connection in slow)


def test_answers_that_nobody_takes_have_a_bound_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of twice as many clients as may be owed so much, those who have taken nothing for longest are let go."""
    monkeypatch.setattr("stork.web.clients.OWED_BYTES", OWED)
    with reception(threads=1) as at, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(at.connect()) for _ in range(4)]
        for count, connection in enumerate(slow, 1):
            connection.sendall(GET % b"/big")
            assert wait_for(lambda count=count: len(at.app.seen) == count)
        assert wait_for(lambda: len(at.desk._clients._connections) == 2)

        assert sorted(gets_all(connection) for connection in slow) == [False, False, True, True]


def test_who_takes_a_little_all_the_time_is_no_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve of them, where the kernel holds almost nothing for them."""
    monkeypatch.setattr("stork.web.clients.OWED_BYTES", OWED)
    monkeypatch.setattr("stork.web.desk.SWEEP_SECONDS", 0.1)
    stopped = threading.Event()

    def sip(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not stopped.is_set() and connection.recv(2048):
                time.sleep(0.002)

    with reception(threads=1) as at, ThreadPoolExecutor(12) as readers, contextlib.ExitStack() as stack:
        clients = at.desk._clients
        clients._listeners[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        for count in range(1, 13):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", at.port))
            connection.sendall(GET % b"/big")
            assert wait_for(lambda count=count: len(at.app.seen) == count)
            readers.submit(sip, connection)
        try:
            assert wait_for(lambda: sum(c.owed for c in list(clients._connections) if c.unsent) <= OWED)
        finally:
            stopped.set()


def test_one_answer_is_sent_however_long_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is more than all clients may be owed."""
    monkeypatch.setattr("stork.web.clients.OWED_BYTES", len(BIG) // 2)
    with reception(threads=1) as at:
        assert at.ask(b"/big").endswith(BIG)


def test_of_who_is_gone_nothing_is_kept() -> None:
    """Neither what was received nor what is unsent waits for the garbage collector."""
    with reception(threads=1) as at:
        with at.connect() as connection:
            connection.sendall(GET % b"/big")
            assert wait_for(lambda: any(each.unsent for each in list(at.desk._clients._connections)))
            gc.disable()
            kept = weakref.ref(next(iter(at.desk._clients._connections)))
        try:
            assert wait_for(lambda: kept() is None)
        finally:
            gc.enable()


def test_bodies_that_come_slowly_hold_no_thread_and_are_cut() -> None:
    """A hundred of them do not disturb; after the deadline they are told 408."""
    head = b"POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\n{"
    with reception(threads=1, deadline=1.0) as at, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(at.connect()) for _ in range(100)]
        for connection in slow:
            connection.sendall(head)
        assert all(at.ask(b"/quick").endswith(b"/quick ") for _ in range(5))

        assert {read_all(connection)[:12] for connection in slow} == {b"HTTP/1.1 408"}
    assert len(at.app.seen) == 5


def test_bodies_that_are_not_whole_have_a_bound_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten clients with most of a kilobyte each, where five may be held: the others are told to come later."""
    monkeypatch.setattr("stork.web.clients.HELD_BYTES", 5000)
    head = b"POST /held HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
    with reception(max_body=1000) as at, contextlib.ExitStack() as stack:
        for number in range(10):
            connection = stack.enter_context(at.connect())
            connection.sendall(head + b"x" * 900)
            if number >= 5:
                assert read_all(connection)[:12] == b"HTTP/1.1 503"
        assert at.ask(b"/quick").endswith(b"/quick ")


def test_what_clients_held_that_have_left_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten of them, one after another, in less time than passes between two looks for silent ones."""
    monkeypatch.setattr("stork.web.clients.HELD_BYTES", 5000)
    monkeypatch.setattr("stork.web.desk.SWEEP_SECONDS", 60.0)
    head = b"POST /held HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n"
    with reception(max_body=1000) as at:
        for _ in range(10):
            with at.connect() as connection:
                connection.sendall(head + b"x" * 900)
                assert wait_for(lambda: any(each.held for each in list(at.desk._clients._connections)))
            assert wait_for(lambda: not at.desk._clients._connections)
        with at.connect() as connection:
            connection.sendall(head + b"x" * 900)
            time.sleep(0.1)
            connection.sendall(b"x" * 100)

            assert read_all(connection)[:12] == b"HTTP/1.1 200"


def test_a_body_that_is_too_long_is_refused_by_the_application_and_answered() -> None:
    """The client, which goes on sending, reads the answer; of chunks no more is kept than the limit and a little."""
    head = b"POST /long HTTP/1.1\r\nHost: localhost\r\n"
    with reception(max_body=1000) as at:
        told = at.exchange(head + b"Content-Length: 5000000\r\n\r\n" + b"x" * 5_000_000)
        chunked = at.exchange(
            head + b"Transfer-Encoding: chunked\r\n\r\n" + b"7d0\r\n" + b"x" * 2000 + b"\r\n0\r\n\r\n"
        )

    assert told.endswith(b"/long ") and b"Connection: close" in told
    assert chunked.endswith(b"/long " + b"x" * 2000)
    assert len(at.app.seen) == 2


def test_who_sends_a_long_body_slowly_reads_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many clients read nothing before they have sent all; in all there is a bound, too."""
    monkeypatch.setattr("stork.web.connection.LINGER_SECONDS", 0.5)
    monkeypatch.setattr("stork.web.connection.UNREAD_SECONDS", 2.0)
    monkeypatch.setattr("stork.web.desk.SWEEP_SECONDS", 0.1)
    with reception(max_body=1000) as at, at.connect() as slow, at.connect() as endless:
        for connection in (slow, endless):
            connection.sendall(b"POST /long HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n")
        for _ in range(15):
            slow.sendall(b"x" * 10_000)
            endless.sendall(b"x" * 10_000)
            time.sleep(0.1)
        answer = read_one(slow)
        with pytest.raises(OSError):
            while True:
                endless.sendall(b"x" * 10_000)
                time.sleep(0.1)

    assert answer.endswith(b"/long ")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nX: " + b"x" * HEADER_BYTES + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 2 * HEADER_BYTES, b"431"),
        (b"GET /" + b"x" * HEADER_BYTES + b" HTTP/1.1\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (HEADERS + 1) + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX : y\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", b"400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
        (b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n", b"405"),
    ],
)
def test_what_is_no_request_is_refused_before_anybody_sees_it(sent: bytes, status: bytes) -> None:
    """Too long, ambiguous, or no HTTP/1: a bare status, and the end of the connection."""
    with reception() as at:
        answer = at.exchange(sent)

    assert (answer[9:12], at.app.seen) == (status, [])


def test_a_request_before_what_is_none_is_answered() -> None:
    """The client learns that its connection ends with it."""
    with reception() as at:
        answer = at.exchange((GET % b"/first") + b"nonsense\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 200") and b"Connection: close" in answer and answer.endswith(b"/first ")


@pytest.mark.parametrize("body", [b"", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_client_that_would_like_another_protocol_stays_with_this_one(body: bytes) -> None:
    """Java's client asks for HTTP/2 with its first request, and sends the body all the same."""
    sent = {b"": b"", b"Content-Length: 3\r\n": b"abc"}.get(body, b"3\r\nabc\r\n0\r\n\r\n")
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAE\r\nUpgrade: h2c\r\n"
    head = b"POST /up?a=1 HTTP/1.1\r\nHost: localhost\r\nX-Mine: yes\r\n" + upgrade + body + b"\r\n"
    with reception() as at, at.connect() as connection:
        connection.sendall(head + sent + GET % b"/next")
        first, second = read_one(connection), read_one(connection)

    assert first.endswith(b"/up " + (b"abc" if body else b"")) and second.endswith(b"/next ")
    seen = at.app.seen[0]
    assert (seen["REQUEST_METHOD"], seen["QUERY_STRING"], seen["HTTP_X_MINE"]) == ("POST", "a=1", "yes")


@pytest.mark.parametrize(
    ("version", "wish", "kept"),
    [("1.1", "close, ", False), ("1.1", "", True), ("1.0", "", False), ("1.0", "Keep-Alive, ", True)],
)
def test_who_would_like_another_protocol_is_let_go_as_it_wishes(version: str, wish: str, kept: bool) -> None:
    """What it says of its connection, and which HTTP it speaks, are not forgotten."""
    sent = f"GET /up HTTP/{version}\r\nHost: localhost\r\nConnection: {wish}Upgrade\r\nUpgrade: h2c\r\n\r\n"
    with reception(idle_seconds=0.5) as at:
        answer = at.exchange(sent.encode())

    assert (b"Connection: close" not in answer, at.app.seen[0]["SERVER_PROTOCOL"]) == (kept, f"HTTP/{version}")


def test_who_asks_whether_to_go_on_is_told_so() -> None:
    """`Expect: 100-continue`, which curl sends before a long body."""
    head = b"POST /go HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    with reception() as at, at.connect() as connection:
        connection.sendall(head)
        told = connection.recv(100)
        connection.sendall(b"abc")

        assert (told, read_one(connection)[-7:]) == (b"HTTP/1.1 100 Continue\r\n\r\n", b"/go abc")


def test_who_asks_whether_to_go_on_behind_another_request_is_told_after_its_answer() -> None:
    """And whoever speaks HTTP/1.0 is told nothing that it does not know."""
    head = b"POST /go HTTP/1.%d\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    with reception() as at, at.connect() as connection, at.connect() as old:
        connection.sendall(GET % b"/first" + head % 1)
        first, told = read_one(connection), connection.recv(100)
        connection.sendall(b"abc")
        old.sendall(head % 0)
        time.sleep(0.1)
        old.sendall(b"abc")

        assert (first[-7:], told) == (b"/first ", b"HTTP/1.1 100 Continue\r\n\r\n")
        assert read_one(connection).endswith(b"/go abc") and read_one(old).startswith(b"HTTP/1.1 200")


def test_the_environ_is_what_wsgi_says() -> None:
    """Paths resolved, queries as they are, headers joined; none can pass for another, nor come after the body."""
    head = b"POST http://localhost/a%20b%C3%A9?q=%20 HTTP/1.1\r\nHost: localhost\r\nX-Twice: 1\r\nX-Twice: 2\r\n"
    more = b"Cookie: a=1\r\nCookie: b=2\r\nX_Api_Key: forged\r\nContent-Type: text/x\r\nX-Forwarded-Proto: https\r\n"
    trailer = b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\nx\r\n0\r\nX-Api-Key: late\r\n\r\n"
    with reception(proxies=["127.0.0.1"]) as at:
        at.exchange(head + more + trailer)
    seen = at.app.seen[0]

    assert seen["PATH_INFO"].encode("latin-1").decode() == "/a bé"
    assert (seen["QUERY_STRING"], seen["CONTENT_TYPE"], seen["HTTP_X_TWICE"]) == ("q=%20", "text/x", "1,2")
    assert (seen["HTTP_COOKIE"], seen["wsgi.url_scheme"], seen["REMOTE_ADDR"]) == ("a=1; b=2", "https", "127.0.0.1")
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == ("127.0.0.1", str(at.port))
    assert "HTTP_X_API_KEY" not in seen and time.monotonic() - seen["stork.arrived"] < 10


@pytest.mark.parametrize(
    ("address", "path", "query"),
    [
        (b"http://localhost:8080/a?b", "/a", "b"),
        (b"HTTPS://localhost?b", "/", "b"),
        (b"http://", "/", ""),
        (b"http://a:b/c", "/c", ""),
        (b"http://[::1/c", "/c", ""),
        (b"*", "*", ""),
    ],
)
def test_an_address_with_a_host_that_is_none_ends_no_thread(address: bytes, path: str, query: str) -> None:
    """The Host header counts; also with a body that is torn, where the environ is made outside the parser."""
    head = b"POST " + address + b" HTTP/1.1\r\nHost: localhost\r\n"
    with reception() as at:
        at.exchange(head + b"Connection: close\r\n\r\n")
        at.exchange(head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")

        assert at.ask(b"/quick").endswith(b"/quick ")
    assert [(seen["PATH_INFO"], seen["QUERY_STRING"]) for seen in at.app.seen[:2]] == [(path, query)] * 2


def test_old_clients_keep_a_connection_only_if_they_ask_for_it() -> None:
    """HTTP/1.0, as `ab` speaks it."""
    with reception() as at:
        once = at.exchange(b"GET /once HTTP/1.0\r\n\r\n")
        with at.connect() as connection:
            connection.sendall(b"GET /kept HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            kept = read_one(connection)

    assert once.endswith(b"/once ") and b"Connection: keep-alive" in kept


def test_more_clients_than_may_connect_wait_for_others_to_leave() -> None:
    """Nobody is turned away who is willing to wait."""
    with reception(connections=2) as at, contextlib.ExitStack() as stack:
        first, second, third = (stack.enter_context(at.connect()) for _ in range(3))
        for connection in (first, second):
            connection.sendall(GET % b"/quick")
            read_one(connection)
        third.sendall(GET % b"/late")
        first.close()

        assert read_one(third).endswith(b"/late ")


class Preempted:
    """A lock; when this thread lets go of it, another begins the last answer on the connection before it goes on."""

    def __init__(self, lock: threading.Lock, connection: Connection) -> None:
        self.lock = lock
        self.connection = connection
        self.late = threading.current_thread()

    def __enter__(self) -> None:
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()
        if threading.current_thread() is self.late:
            self.connection.closing = True


def test_who_has_handed_a_connection_on_ends_nothing_of_it() -> None:
    """A thread that was away is late: the answer of another, which is to be the last, is not cut off."""
    with reception() as at, at.connect() as client:
        client.sendall(GET % b"/first")
        read_one(client)
        (connection,) = at.desk._clients._connections
        assert wait_for(lambda: not connection.busy)
        lock = at.desk._clients._lock
        at.desk._clients._lock = Preempted(lock, connection)  # type: ignore[assignment]
        at.desk._clients.go_on(connection)
        at.desk._clients._lock = lock
        connection.closing = False
        client.sendall(GET % b"/second")

        assert client.recv(1000).endswith(b"/second ")


def test_a_place_that_becomes_free_is_taken_at_once() -> None:
    """Not only when silent clients are next looked for: five that come and go are five short answers."""
    with reception(connections=2) as at, at.connect():
        began = time.monotonic()
        for _ in range(5):
            at.ask(b"/quick")

        assert time.monotonic() - began < 5 * SWEEP_SECONDS / 2


def test_silent_clients_are_let_go() -> None:
    """A connection on which nothing is asked is closed, one that was asked on too."""
    with reception(idle_seconds=0.5) as at, at.connect() as silent, at.connect() as asked:
        asked.sendall(GET % b"/quick")
        read_one(asked)

        assert (silent.recv(1), asked.recv(1)) == (b"", b"")


def test_who_sends_more_while_being_told_to_leave_reads_the_answer() -> None:
    """A connection that is closed while something on it is unread is reset, and some clients lose the answer by it."""
    with reception() as at, at.connect() as connection:
        at.desk._draining = True
        connection.sendall((GET % b"/quick") * 2000)
        received = read_one(connection)

        assert b"Connection: close" in received and received.endswith(b"/quick ")
        assert (connection.recv(1), len(at.app.seen)) == (b"", 1)


def test_draining_hears_who_asks_while_another_is_answered_for_long() -> None:
    """The turn is taken from a thread that keeps it for too long, as before: where nobody receives, nobody asks."""
    with reception(watched=False) as at, at.connect() as long, at.connect() as late:
        long.sendall(GET % b"/hangs")
        assert wait_for(lambda: at.app.inside == 1)
        late.sendall(GET % b"/late")
        at.desk.drain()

        assert b"Connection: close" in read_one(late)


def test_closing_answers_who_was_received() -> None:
    """Those who are being answered and those who wait get their answers, and every thread ends."""
    with contextlib.ExitStack() as stack:
        with reception(threads=1) as at:
            connections = [stack.enter_context(at.connect()) for _ in range(2)]
            for connection in connections:
                connection.sendall(GET % b"/waits")
            assert wait_for(lambda: at.desk._away + len(at.desk._waiting) == 2)
        answers = [read_all(connection) for connection in connections]

    assert all(answer.endswith(b"/waits ") for answer in answers)
    assert not any(thread.is_alive() for thread in at.desk._crew)


def test_closing_waits_for_who_is_still_reading() -> None:
    """Twenty megabytes are in no socket's buffer: a client gets them all, though the process has been told to end."""
    received: list[bytes] = []
    with contextlib.ExitStack() as stack:
        with reception(threads=1) as at:
            slow = stack.enter_context(at.connect())
            slow.sendall(GET % b"/big")
            assert wait_for(lambda: len(at.app.seen) == 1)
            reader = threading.Timer(0.3, lambda: received.append(read_all(slow)))
            reader.start()
        reader.join()

    assert received[0].endswith(BIG)


def test_closing_answers_who_asks_again_while_another_is_still_reading() -> None:
    """Its long answer did not say that it was the last; three such requests are more than may wait."""
    answers: list[bytes] = []
    with contextlib.ExitStack() as stack:
        with reception(threads=1, queue=1) as at:
            slow, *others = (stack.enter_context(at.connect()) for _ in range(4))
            for connection in (slow, *others):
                connection.sendall(GET % b"/big")
            assert wait_for(lambda: len(at.app.seen) == 4)

            def go_on() -> None:
                for connection in others:
                    read_one(connection)
                    connection.sendall(GET % b"/again")
                answers.extend(read_one(connection) for connection in others)
                read_one(slow)

            reader = threading.Timer(0.3, go_on)
            reader.start()
        reader.join()

    assert len(answers) == 3 and all(b"Connection: close" in told and told.endswith(b"/again ") for told in answers)
