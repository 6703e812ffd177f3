"""The sections that say how a model is trained, tuned, judged and in the end cleaned up."""

from typing import Annotated

import msgspec

from stork.declaration.section import Ratio, Section


class CustomJob(Section, frozen=True):
    """
    Where `train --on vertex` trains: a custom job of Vertex AI, in a container of `image`, on one `machine`.

    The job runs as `service_account` (default: the project's own) and may take so many `hours`. `staging` is a folder
    of a bucket that the service tells it of; Stork itself needs none.
    """

    project: str = ""
    location: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]+$")] = "us-central1"
    image: str = ""
    machine: str = "n1-standard-4"
    service_account: str = ""
    staging: Annotated[str, msgspec.Meta(pattern="^(gs://.+)?$")] = ""
    hours: Annotated[float, msgspec.Meta(gt=0, le=168)] = 24.0


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
    vertex: CustomJob = CustomJob()

    @property
    def recipe(self) -> "Training":
        """All that decides what is learned: not where that is done."""
        return msgspec.structs.replace(self, vertex=CustomJob())


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

    The verdict says whether the linear model loses by the share `linear_margin` of its RMSE; it refuses nothing for
    that. The last `staleness_versions` blessed versions are scored on newer spans: a version is stale when its RMSE
    rose by the share `staleness_rise`.
    """

    slices: tuple[str, ...] = ()
    min_slice_rows: int = 10
    max_rmse_ratio: Ratio = 1.0
    min_rmse_ratio: Ratio = 0.0
    max_baseline_ratio: Ratio = 1.01
    min_baseline_ratio: Ratio = 0.0
    max_slice_ratio: Ratio = 1.1
    max_slice_ratios: dict[str, Ratio] = {}
    linear_margin: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    staleness_versions: Annotated[int, msgspec.Meta(ge=0, le=100)] = 5
    staleness_rise: Annotated[float, msgspec.Meta(gt=0)] = 0.05


class Retention(Section, frozen=True):
    """
    What `clean-up` keeps of the newest versions, runs and spans besides what is in service or a lineage names.

    0: all of them.
    """

    versions: Annotated[int, msgspec.Meta(ge=0)] = 5
    runs: Annotated[int, msgspec.Meta(ge=0)] = 10
    spans: Annotated[int, msgspec.Meta(ge=0)] = 0
