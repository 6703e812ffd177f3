"""The sections that say how a model serves: who answers, what that may take, and what the log keeps."""

from typing import Annotated, Literal

import msgspec

from stork.declaration.section import BackendName, Seconds, Section

Container = Literal["custom", "tensorflow", "stork"]


class OnlinePrediction(Section, frozen=True):
    """
    A service that requests are forwarded to: how long it may take, and what container reads the instances there.

    `custom` reads tensors as strict JSON with null for NaN, `tensorflow` is the service's own container for
    SavedModels, `stork` reads features as `/api/predict` does.
    """

    container: Container = "custom"
    deadline: Seconds = 2.0
    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 1
    breaker_failures: Annotated[int, msgspec.Meta(ge=1)] = 5
    breaker_seconds: Seconds = 10.0


class Vertex(OnlinePrediction, frozen=True):
    """An endpoint of Vertex AI, by its resource's name."""

    endpoint: str = ""


class MLEngine(OnlinePrediction, frozen=True):
    """A model of ML Engine, or a version of one, by its resource's name."""

    model: str = ""


class Entity(Section, frozen=True):
    """
    Whom a request is for: the request header, or the feature, that identifies them.

    Of a request of many instances it is the first one's feature. Without either, or a value, nobody is known.
    """

    header: str = ""
    feature: str = ""


class Ramp(Section, frozen=True):
    """
    What ends a ramp: how much worse than the version it replaces a candidate may be in a step.

    It is judged once it answered `min_requests` of the step; a step that has not so many after `patience` times its
    length ends the ramp too. Rates are shares from 0 to 1, beyond those of the replaced version: of requests that
    were errors, of predictions outside the output's range. Its p99 may be `max_latency_ratio` times the other's;
    below `min_latency` (milliseconds) none is too long.
    """

    min_requests: Annotated[int, msgspec.Meta(ge=1)] = 100
    max_error_rate: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.01
    max_out_of_range: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    max_latency_ratio: Annotated[float, msgspec.Meta(ge=1)] = 1.5
    min_latency: Annotated[float, msgspec.Meta(ge=0)] = 20.0
    patience: Annotated[float, msgspec.Meta(ge=1)] = 10.0


class Budgets(Section, frozen=True):
    """
    What a version may take before it may serve; 0: as much as it likes.

    The 99th percentile of one instance in milliseconds (in the exam over HTTP, before a switch in the process), and the
    memory in MB of a process that holds it alone.
    """

    p99_ms: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    memory_mb: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class Exam(Section, frozen=True):
    """
    How a candidate is examined in server processes of its own before it may serve.

    So many `requests` in all, by as many cold `starts` of a server. It must be ready within `start_seconds`, answer
    each request within `answer_seconds`, and be done within `seconds`.
    """

    requests: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    starts: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3
    start_seconds: Seconds = 60.0
    answer_seconds: Seconds = 10.0
    seconds: Seconds = 600.0


class Latest(Section, frozen=True):
    """The newest so many versions."""

    num_versions: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1


class Specific(Section, frozen=True):
    """The versions of these numbers."""

    versions: Annotated[tuple[int, ...], msgspec.Meta(min_length=1)]


class AllVersions(Section, frozen=True):
    """Every version there is."""


class VersionPolicy(Section, frozen=True):
    """
    Which versions are kept loaded and answer by their number, as TensorFlow Serving's `model_version_policy`.

    One of the three, or none: then every version answers, loaded when it is first asked for. What an alias or the
    shadow names is always loaded.
    """

    latest: Latest | None = None
    specific: Specific | None = None
    all: AllVersions | None = None

    def __str__(self) -> str:
        if self.latest is not None:
            return f"latest {{ num_versions = {self.latest.num_versions} }}"
        if self.specific is not None:
            return f"specific {{ versions = {list(self.specific.versions)} }}"
        return "none" if self.all is None else "all {}"


class Serving(Section, frozen=True):
    """
    Which version serves until an alias says otherwise, which backend answers, and who when a remote one fails.

    `keep`: how many versions that neither an alias nor the policy names, but somebody asked for by number, stay loaded
    in a process.
    `batching` false: concurrent requests are never answered in one call, also where an import saw that they may be.
    """

    start: int = 0
    backend: BackendName = "auto"
    fallback: BackendName | Literal["none"] = "auto"
    keep: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 4
    batching: bool = True
    policy: VersionPolicy = VersionPolicy()
    budgets: Budgets = Budgets()
    exam: Exam = Exam()
    vertex: Vertex = Vertex()
    mlengine: MLEngine = MLEngine()
    sticky: Entity = Entity()
    ramp: Ramp = Ramp()


class Log(Section, frozen=True):
    """
    What the prediction log keeps.

    Of features named in `omit` nothing, of those in `hash` a keyed hash; of a request its first `rows` instances;
    of all requests the share `sample` (rejected ones always), all or none of one `entity`'s. Sizes in MB, age in days.
    """

    omit: tuple[str, ...] = ()
    hash: tuple[str, ...] = ()
    sample: float = 1.0
    entity: Entity = Entity()
    rows: int = 20
    segment_mb: int = 16
    total_mb: int = 1024
    days: int = 30

    @property
    def hidden(self) -> frozenset[str]:
        """The features whose values neither the log nor a report tells."""
        return frozenset((*self.omit, *self.hash))
