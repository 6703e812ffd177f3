"""The one path of a prediction: route, check, answer, log. Every dialect and every page comes through here."""

import functools
import itertools
import os
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from stork.config import Settings
from stork.declaration import Declaration
from stork.errors import DeadlineExceeded, ModelNotFound, SettingError, StorkError
from stork.schema.tensors import plain_values
from stork.serving.ask import Answer, Ask, check
from stork.serving.backends.template import Template
from stork.serving.entity import EntityReader
from stork.serving.loader import LoadedVersion
from stork.serving.metrics import Metrics
from stork.serving.routing import Route
from stork.serving.shadow import Copy, Shadows, ShadowVersion
from stork.store.counters import SharedCounters, deployment_folder
from stork.store.prediction_log import PredictionLog, Record
from stork.store.registry import Registry
from stork.store.shadow_log import KIND

# The share of the queue that, once it waits, is reason to ask no shadow.
BUSY = 0.25


class Predictor:
    """Every model of this process: created once, after the fork, and shared by all its threads."""

    def __init__(self, settings: Settings, secret: bytes = b"") -> None:
        self.settings = settings
        self.registry = Registry(settings)
        self._secret = secret
        self._template = Template()
        self._routes: dict[str, Route] = {}
        self._logs: dict[str, PredictionLog] = {}
        self._entities: dict[str, EntityReader] = {}
        self.metrics = Metrics(SharedCounters(deployment_folder(settings)), self._routes, self._logs)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._process = os.urandom(6).hex()
        self._count = itertools.count(1)
        self.shadows = Shadows(self._open_shadow_log, settings.deadline)
        names = self.registry.models()
        if settings.model and settings.model not in names:
            raise SettingError(
                f"STORK_MODEL: expected one of {', '.join(names) or 'none'}, received {settings.model!r}"
            )
        self.default_model = settings.model or (names[0] if names else "")
        for name in names:
            self._add_route(name)

    def start(self) -> None:
        """Load every model and follow its serving state from a thread of its own; let others see what is counted."""
        self.metrics.start()
        threading.Thread(target=self._watch, name="stork-watch", daemon=True).start()

    def stop(self) -> None:
        """Stop following, and asking shadows. Requests are answered as before."""
        self._stopped.set()
        self.shadows.stop()

    def predict(self, ask: Ask) -> Answer:
        """
        Answer and log one request.

        Raises:
            StorkError: any of the tree; it is logged too, under the id it then carries as `prediction_id`.
        """
        record, arrived = self._open_record(ask)
        try:
            return self._answer(ask, record.model, record)
        except StorkError as error:
            note_refusal(record, error)
            raise
        except Exception:
            record.status, record.error = 500, "internal error"
            raise
        finally:
            self._log(ask, record, arrived)

    def _open_record(self, ask: Ask) -> tuple[Record, float]:
        """What is known of a request before it is answered, and when it arrived."""
        began = time.monotonic()
        arrived, trace = ask.context.arrived or began, ask.context.trace
        record = Record(
            id=f"{self._process}-{next(self._count):x}",
            time=datetime.now(UTC),
            model=ask.model or self.default_model,
            version=None,
            asked=describe_asked(ask),
            dialect=ask.dialect,
            status=200,
            rows=0,
            instances=[],
            predictions={},
            latency={"queue": milliseconds(began - arrived)},
            trace=trace.id,
            span=trace.span,
            sampled=trace.sampled,
        )
        if ask.context.caller is not None:
            record.caller = ask.context.caller.name
        return record, arrived

    def _answer(self, ask: Ask, name: str, record: Record) -> Answer:
        """Route, check, answer; the record is filled on the way, so that a failure is logged as far as it got."""
        check_deadline(ask.context.deadline)
        route = self.route(name)
        record.alias, loaded = route.choose(ask)
        if ask.signature:
            loaded = loaded.signature(ask.signature)
        record.version, record.schema = loaded.version, loaded.manifest.schema
        instances = check(loaded, ask)
        limit = route.declaration.log.rows
        record.rows, record.instances = len(instances), instances.rows[:limit]
        if ask.context.caller is not None:
            ask.context.caller.spend(len(instances) * ask.charge)
        check_deadline(ask.context.deadline)
        asked_at = time.monotonic()
        answered = loaded.answer(instances.tensors, ask.context.deadline, ask.context.trace)
        record.latency["model"] = milliseconds(time.monotonic() - asked_at)
        if not answered.together:
            self.metrics.count_alone(name, loaded.version)
        columns = {o.name: plain_values(o, answered.outputs[o.name]) for o in loaded.schema.outputs}
        record.predictions = {name: values[:limit] for name, values in columns.items()}
        record.origin, record.backend, record.error = answered.origin, answered.backend, answered.remote_error
        answer = Answer(record.id, name, loaded.version, columns, loaded, answered.origin, answered.backend)
        if route.shadow is not None and not ask.signature:
            self._copy(route.shadow, ask, answer, record.latency["model"])
        return answer

    def _copy(self, shadow: ShadowVersion, ask: Ask, answer: Answer, took: float) -> None:
        """Let the shadow answer too, if this request is of its share and was not answered by it already."""
        if shadow.loaded.version != answer.version and random.random() * 100 < shadow.share:
            again = Ask(ask.instances, path=ask.path, single=ask.single)  # without its context, which holds the request
            busy = ask.context.waiting > self.settings.queue * BUSY
            self.shadows.offer(Copy(again, answer, took, shadow.loaded), busy)

    def _log(self, ask: Ask, record: Record, arrived: float) -> None:
        log = self._logs.get(record.model)
        record.latency["total"] = milliseconds(time.monotonic() - arrived)
        self.metrics.count("" if log is None else record.model, record)
        if log is not None and (record.status != 200 or self._is_sampled(log, ask, record)):
            log.write(record)

    def _is_sampled(self, log: PredictionLog, ask: Ask, record: Record) -> bool:
        """Whether an answered request is of the log's sample: by whom it is for, or by its id where that is unknown."""
        if log.limits.sample >= 1:
            return True
        return log.wants(self._entities[record.model].read(ask) or record.id.encode())

    def version(self, name: str, version: int | None = None, alias: str | None = None) -> LoadedVersion:
        """The loaded version of this number or alias, else stable's: for pages and metadata, not logged."""
        return self.route(name).resolve(version, alias)

    def settle(self, ask: Ask, read: Callable[[LoadedVersion], Any]) -> LoadedVersion:
        """
        The loaded version that is to answer a request, by the split where nothing else is asked for; from now on it is.

        For dialects whose instances can be read only by a schema: `read` gets them for a version.

        Raises:
            StorkError: there is no such model, version or alias, or `read` refuses what was sent; it is logged.
        """
        try:
            return self.route(ask.model or self.default_model).settle(ask, read)
        except StorkError as error:
            record, arrived = self._open_record(ask)
            note_refusal(record, error)
            self._log(ask, record, arrived)
            raise

    def route(self, name: str) -> Route:
        """
        Raises:
            ModelNotFound: no model has this name, also not one imported since the start.
        """
        route = self._routes.get(name)
        if route is None:
            known = self.registry.models()
            if name not in known:
                raise ModelNotFound(name, known)
            route = self._add_route(name)
        return route

    def _add_route(self, name: str) -> Route:
        with self._lock:
            if name not in self._routes:
                route = Route(self.registry, name, functools.partial(self.metrics.count_call, name), self._template)
                self._logs[name] = PredictionLog(self.settings.log, name, route.declaration.log, self._secret)
                self._entities[name] = EntityReader(route.declaration.log.entity)
                self._routes[name] = route
            return self._routes[name]

    def models(self) -> list[str]:
        """Names of all models, also of those imported since the start."""
        return self.registry.models()

    def declaration(self, name: str) -> Declaration:
        """The model's declaration, as it was when this process last looked."""
        return self.route(name).declaration

    def problems(self) -> dict[str, str]:
        """What keeps each model from serving its declared state, by name; empty when all is well."""
        return {name: route.problem for name, route in sorted(self._routes.items()) if route.problem}

    def log_failures(self) -> int:
        """Records that could not be written since the start."""
        return sum(log.failures for log in [*self._logs.values(), *self.shadows.logs.values()])

    def _open_shadow_log(self, name: str) -> PredictionLog:
        return PredictionLog(self.settings.log, name, self.declaration(name).log, self._secret, KIND)

    def _watch(self) -> None:
        while not self._stopped.is_set():
            for route in list(self._routes.values()):
                if route.stale():
                    route.follow()
            self.shadows.flush()
            self._stopped.wait(self.settings.watch_seconds)


def note_refusal(record: Record, error: StorkError) -> None:
    """Let the record say why there is no answer, and the error under which id that is logged."""
    text = str(error).encode("utf-8", "backslashreplace").decode()  # it may name half of a surrogate pair
    record.status, record.error = error.status, text
    error.prediction_id = record.id


def milliseconds(seconds: float) -> float:
    """As the log writes a duration: to the microsecond."""
    return round(seconds * 1000, 3)


def check_deadline(deadline: float) -> None:
    """
    Raises:
        DeadlineExceeded: it has passed, so nobody waits for the answer: the work is not started.
    """
    if deadline < time.monotonic():
        raise DeadlineExceeded("the deadline passed before the model was asked")


def describe_asked(ask: Ask) -> str:
    """How the version was asked for: a number, an alias, or nothing."""
    if ask.version is not None:
        return str(ask.version)
    return ask.alias or ""
