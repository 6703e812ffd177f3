"""An exam under way: one cold start of a server after the other, and whether each answer is as it must be."""

import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stork.config import Settings
from stork.declaration import Exam as Limits
from stork.evaluation.exam_requests import Asked, single
from stork.evaluation.exam_server import Dropped, ExamServer, NotServed, exchange
from stork.schema.feature import plain
from stork.schema.frozen import Schema, numeric_limits
from stork.serving.loader import same
from stork.store.version import Golden

CONNECTIONS = 4
SHOWN = 200  # characters of a request or an answer in a reason
FATE_SECONDS = 5.0  # until it was said how a process ended: by another one, which waits for a processor, too

Progress = Callable[[int, int], None]


@dataclass
class Sitting:
    """One exam under way: what must be answered until when, and what was counted so far."""

    schema: Schema
    limits: Limits
    golden: Golden | None
    progress: Progress
    deadline: float
    requests: int = 0
    instances: int = 0
    refused: int = 0
    took: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    failed_starts: int = 0
    slowest_start: float = 0.0
    memory_mb: float = 0.0
    ended: str = ""
    stderr: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, asked: Asked, seconds: float | None = None) -> None:
        """Note a request that was answered as it must be; `seconds` where its latency counts."""
        with self.lock:
            self.requests += 1
            self.instances += asked.instances
            self.refused += not asked.valid
            if seconds is not None and asked.valid and asked.instances == 1:
                self.took.append(seconds * 1000)
            if self.requests % 100 == 0 or self.requests == self.limits.requests:
                self.progress(self.requests, self.limits.requests)


def sit(sitting: Sitting, stage: Settings, requests: Sequence[Asked], stderr: Path) -> None:
    """One cold start: golden requests, then half of its requests one by one, half on several connections at once."""
    began = time.monotonic()
    with ExamServer(stage, stderr) as server:
        try:
            server.wait_until_ready(min(sitting.limits.start_seconds, max(0.1, sitting.deadline - began)))
            sitting.slowest_start = max(sitting.slowest_start, time.monotonic() - began)
            ask_golden(sitting, server)
            half = len(requests) // 2
            ask_in_turn(sitting, server, requests[:half])
            ask_at_once(sitting, server, requests[half:])
            if server.fate():  # callers may not notice: a TensorFlow process that ended is started anew
                raise NotServed("every request was answered, some by a process that was started anew")
        except NotServed as error:
            sitting.failed_starts += 1
            fate = wait_for_fate(server) if isinstance(error, Dropped) else server.fate()
            scratch = str(stage.models.parent)
            said = str(error).replace(scratch, "...")
            sitting.failures.append(f"{said}; a server process ended: {fate}" if fate else said)
            sitting.ended = sitting.ended or fate
            sitting.stderr = sitting.stderr or server.stderr().replace(scratch, "...")
        server.stop()
        sitting.memory_mb = max(sitting.memory_mb, server.peak_mb)


def wait_for_fate(server: ExamServer) -> str:
    """How the process ended, if it does or did."""
    deadline = time.monotonic() + FATE_SECONDS
    while not (fate := server.fate()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return fate


def ask_golden(sitting: Sitting, server: ExamServer) -> None:
    """
    Raises:
        NotServed: a golden request is not answered as it was when the candidate was made.
    """
    golden = sitting.golden
    if golden is None:
        return
    with server.connect(sitting.limits.answer_seconds) as connection:
        for number, (row, recorded) in enumerate(zip(golden.instances, golden.predictions, strict=True)):
            (answer,) = ask(sitting, connection, single(row))
            for name, wanted in recorded.items():
                if not same(answer[name], wanted):
                    raise NotServed(f"golden request {number}: {name} expected {wanted}, received {answer[name]}")


def ask_in_turn(sitting: Sitting, server: ExamServer, requests: Sequence[Asked], timed: bool = True) -> None:
    """Each request after the other, on one connection."""
    with server.connect(sitting.limits.answer_seconds) as connection:
        for asked in requests:
            began = time.monotonic()
            if began > sitting.deadline:
                raise NotServed(f"the exam was not over within {sitting.limits.seconds:g} s")
            ask(sitting, connection, asked)
            sitting.count(asked, time.monotonic() - began if timed else None)


def ask_at_once(sitting: Sitting, server: ExamServer, requests: Sequence[Asked]) -> None:
    """Several connections at the same time; their latency says more about this machine than about the model."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        parts = [requests[number::CONNECTIONS] for number in range(CONNECTIONS)]
        for done in [pool.submit(ask_in_turn, sitting, server, part, timed=False) for part in parts]:
            done.result()


def ask(sitting: Sitting, connection: http.client.HTTPConnection, asked: Asked) -> list[dict[str, Any]]:
    """
    The checked predictions of a request; none of one that was rightly refused.

    Raises:
        NotServed: it was not answered as it must be.
    """
    shown = cut(asked.body.decode(errors="replace"))
    try:
        status, document = exchange(connection, "POST", "/api/predict", asked.body)
    except TimeoutError:
        raise NotServed(f"to {shown} it gave no answer within {sitting.limits.answer_seconds:g} s") from None
    except ValueError as error:
        raise NotServed(f"to {shown} it answered no JSON: {error}") from None
    except (OSError, http.client.HTTPException) as error:
        raise Dropped(f"to {shown} it dropped the connection ({type(error).__name__})") from None
    if status != 200 if asked.valid else not 400 <= status < 500:
        wanted = "an answer" if asked.valid else "a refusal (4xx)"
        said = cut(json.dumps(document.get("error", document)))
        failure = Dropped if status == 503 else NotServed
        raise failure(f"to {shown} expected {wanted}, received {status}: {said}")
    return check_answers(sitting.schema, document["predictions"], asked, shown) if asked.valid else []


def cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def check_answers(schema: Schema, predictions: list[dict[str, Any]], asked: Asked, shown: str) -> list[dict[str, Any]]:
    """
    Raises:
        NotServed: there is not one prediction per instance, or a number is not in its output's range.
    """
    if len(predictions) != asked.instances:
        raise NotServed(f"to {shown} expected {asked.instances} predictions, received {len(predictions)}")
    for output, prediction in itertools.product(schema.outputs, predictions):
        low, high = numeric_limits(output)
        value = prediction[output.name]
        for number in value if isinstance(value, list) else [value]:
            if not isinstance(number, str | dict) and not low <= number <= high:
                raise NotServed(f"to {shown} {output.name} is {number}, expected {plain(low)} to {plain(high)}")
    return predictions
