"""The sections of model.toml: every one a frozen struct that refuses unknown keys."""

from typing import Annotated, Literal

import msgspec

Kind = Literal["number", "integer", "boolean", "category", "string"]
DType = Literal["float32", "float64", "int32", "int64", "uint8", "bool", "string"]
BackendName = Literal["auto", "litert", "saved_model", "vertex", "mlengine"]
Container = Literal["custom", "tensorflow", "stork"]
Scalar = bool | int | float | str
Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]
Ratio = Annotated[float, msgspec.Meta(ge=0)]

NAME = r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$"


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A table of model.toml."""


class Model(Section, frozen=True):
    """What the model is, in words a person reads. `notice` is printed wherever its data or predictions are shown."""

    name: str
    title: str
    description: str = ""
    notice: str = ""


class Tensor(Section, frozen=True):
    """
    How a feature or an output lies in the model's signature.

    `shape` is [-1] or [-1, 1] for a feature; an output may also be [-1, k]. `name` is the signature's key (default:
    the feature's own name). `missing` is what a missing value becomes; TOML's `nan` is allowed.
    """

    name: str = ""
    dtype: DType = "float32"
    shape: tuple[int, ...] = (-1,)
    missing: int | float | str | None = None


class Value(Section, frozen=True):
    """One value a feature can take, its title for people, and what the tensor holds for it (default: the value)."""

    value: Scalar
    title: str = ""
    encoded: int | float | str | None = None


class Feature(Section, frozen=True):
    """
    A column of the model's input.

    `range` is closed and in `unit`. `values` lists the vocabulary of a category, the titles of a boolean, or the few
    values an integer can take. A feature that is not `required` may be absent, null or empty; `missing_title` names
    that choice in the form. `widget` and `default` are for the form.
    """

    name: str
    kind: Kind
    title: str = ""
    range: tuple[float, float] | None = None
    values: tuple[Value, ...] = ()
    missing_title: str = ""
    required: bool = True
    unit: str = ""
    help: str = ""
    widget: Literal["", "number", "select", "radio", "text"] = ""
    default: Scalar | None = None
    tensor: Tensor = Tensor()


class Display(Section, frozen=True):
    """
    Another unit to show an output in: value x `factor`, rounded to `digits`.

    With a `sub_unit` the fraction is shown in it: 7.53 lb, 16 oz to one, is "7 lb 8.5 oz".
    """

    unit: str
    factor: float = 1.0
    digits: int = 2
    sub_unit: str = ""
    sub_per_unit: float = 1.0


class Output(Section, frozen=True):
    """What the model predicts: a number (or k of them, or a string) per instance, inside the closed `range`."""

    name: str
    title: str = ""
    unit: str = ""
    digits: int = 2
    range: tuple[float, float] | None = None
    display: tuple[Display, ...] = ()
    tensor: Tensor = Tensor()


class Form(Section, frozen=True):
    """`what_if` names the numeric feature along which the form page draws the prediction."""

    what_if: str = ""


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


class Sticky(Section, frozen=True):
    """
    What keeps a caller on one version while traffic is split: a request header, or a feature, that identifies them.

    Of a request of many instances the feature of the first decides. Without either, or a value, chance does.
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
    `batching` false: concurrent requests are never answered in one call, for a model whose rows change each other.
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
    sticky: Sticky = Sticky()
    ramp: Ramp = Ramp()


class Log(Section, frozen=True):
    """
    What the prediction log keeps.

    Of features named in `omit` nothing, of those in `hash` a keyed hash; of a request its first `rows` instances;
    of all requests the share `sample` (rejected ones always). Sizes in MB, age in days.
    """

    omit: tuple[str, ...] = ()
    hash: tuple[str, ...] = ()
    sample: float = 1.0
    rows: int = 20
    segment_mb: int = 16
    total_mb: int = 1024
    days: int = 30


class Table(Section, frozen=True):
    """A frequency table of the sample: how often each value of `feature` occurs, given the values of `given`."""

    feature: str
    given: tuple[str, ...] = ()


class Sample(Section, frozen=True):
    """How sample.json is computed from real rows: no cell has fewer than `cell` rows."""

    cell: int = 10
    tables: tuple[Table, ...] = ()
    label_given: tuple[str, ...] = ()


class Source(Section, frozen=True):
    """
    Where rows come from: one of four.

    `files`: CSV or Parquet, globs too, from the project's folder where not absolute. `sample`: so many rows generated
    from sample.json. `bigquery`: a file of GoogleSQL in the model's folder, run in `project`. `subscription`: messages
    of projects/P/subscriptions/S, a window of at most `seconds` and `messages` at a time. `where` is an SQL condition
    on the rows, as DuckDB takes it.
    """

    files: tuple[str, ...] = ()
    sample: Annotated[int, msgspec.Meta(ge=0)] = 0
    bigquery: str = ""
    project: str = ""
    subscription: str = ""
    seconds: Seconds = 60.0
    messages: Annotated[int, msgspec.Meta(ge=1)] = 100_000
    where: str = "true"


class Data(Section, frozen=True):
    """
    The rows a model is trained on.

    `key` names the columns that say which rows belong together, so that a split never parts them (default: all
    features). Training takes the newest `spans` spans; 0: all.
    """

    key: tuple[str, ...] = ()
    spans: Annotated[int, msgspec.Meta(ge=0)] = 0
    sources: tuple[Source, ...] = msgspec.field(default=(), name="source")


class Training(Section, frozen=True):
    """
    How `train` learns the label (an output's name).

    The split: MOD(ABS(FARM_FINGERPRINT(key)), buckets), where key is `[data] key` (data/split.py); buckets in `eval`
    stop the training early, buckets in `test` only score it. `weight` names a column of the rows, no feature, that says
    what each counts in learning and in stopping. `l2` is the penalty on the wide half, which would else learn a rare
    value by heart.
    """

    label: str = ""
    weight: str = ""
    buckets: int = 10
    eval: tuple[int, ...] = (8,)
    test: tuple[int, ...] = (9,)
    epochs: Annotated[int, msgspec.Meta(ge=1)] = 60
    batch_size: Annotated[int, msgspec.Meta(ge=1)] = 256
    learning_rate: Annotated[float, msgspec.Meta(gt=0)] = 0.003
    units: tuple[Annotated[int, msgspec.Meta(ge=1)], ...] = (64, 32)
    l2: Annotated[float, msgspec.Meta(ge=0)] = 0.001
    patience: Annotated[int, msgspec.Meta(ge=1)] = 8
    seed: Annotated[int, msgspec.Meta(ge=0)] = 7


class Search(Section, frozen=True):
    """Values to try: from `low` to `high`, by their logarithm if `log`, or one of the `choices`."""

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    choices: tuple[int | float | tuple[int, ...], ...] = ()


class Space(Section, frozen=True):
    """The keys of `[training]` that `tune` looks for better values of."""

    epochs: Search | None = None
    batch_size: Search | None = None
    learning_rate: Search | None = None
    units: Search | None = None
    l2: Search | None = None
    patience: Search | None = None

    @property
    def searched(self) -> dict[str, Search]:
        """The keys that are searched."""
        found = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: search for name, search in found.items() if search is not None}


class Tuning(Section, frozen=True):
    """How `tune` looks: how many `trials` in all, in how many `workers` (processes) at a time, in which `space`."""

    trials: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 20
    workers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    space: Space = Space()


class Evaluation(Section, frozen=True):
    """
    What is scored: `slices` are features, and a slice of fewer than `min_slice_rows` rows says nothing.

    A candidate is blessed from `min_rmse_ratio` to `max_rmse_ratio` x the RMSE of the mean, and from
    `min_baseline_ratio` to `max_baseline_ratio` x that of the version in service, all on the same rows: what is better
    than the lower bound has probably seen the label (0: nothing is too good). On each slice it may have
    `max_slice_ratio` x the RMSE of the version in service; `max_slice_ratios` says otherwise for all slices of a
    feature ("colour") or for one ("Colour: Red"), which then must have rows.
    """

    slices: tuple[str, ...] = ()
    min_slice_rows: int = 10
    max_rmse_ratio: Ratio = 1.0
    min_rmse_ratio: Ratio = 0.0
    max_baseline_ratio: Ratio = 1.01
    min_baseline_ratio: Ratio = 0.0
    max_slice_ratio: Ratio = 1.1
    max_slice_ratios: dict[str, Ratio] = {}


class Retention(Section, frozen=True):
    """
    What `clean-up` keeps of the newest versions, runs and spans besides what is in service or a lineage names.

    0: all of them.
    """

    versions: Annotated[int, msgspec.Meta(ge=0)] = 5
    runs: Annotated[int, msgspec.Meta(ge=0)] = 10
    spans: Annotated[int, msgspec.Meta(ge=0)] = 0


class Declaration(Section, frozen=True):
    """All of a model.toml."""

    model: Model
    features: tuple[Feature, ...] = msgspec.field(name="feature")
    outputs: tuple[Output, ...] = msgspec.field(name="output")
    form: Form = Form()
    serving: Serving = Serving()
    log: Log = Log()
    sample: Sample = Sample()
    data: Data = Data()
    training: Training = Training()
    tuning: Tuning = Tuning()
    evaluation: Evaluation = Evaluation()
    retention: Retention = Retention()
