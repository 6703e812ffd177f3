"""Triton's statistics document, from what all server processes counted."""

from typing import Any

from stork.serving.metrics import INSTANCES, MODEL, QUEUE, TOTAL
from stork.serving.predictor import Predictor
from stork.store.counters import Table

NANOSECONDS = 1e6  # per millisecond, in which requests are counted


def list_statistics(predictor: Predictor, name: str, version: int | None) -> list[dict[str, Any]]:
    """
    One entry for every version of a model (of all where `name` is empty) that was asked since the service started.

    `inference_count` counts instances, `execution_count` calls of a backend: of one that answers concurrent requests
    together there are fewer than requests.
    """
    counters, _ = predictor.metrics.total()
    found: dict[tuple[str, str], dict[bool, list[float]]] = {}
    for (kind, *labels), numbers in sorted(counters.items()):
        if kind != "requests":
            continue
        model, asked, _, status, _ = labels
        if asked and name in ("", model) and version in (None, int(asked)):
            sides = found.setdefault((model, asked), {})
            place = status == "200"
            sides[place] = [a + b for a, b in zip(sides.get(place, [0.0] * len(numbers)), numbers, strict=True)]
    return [
        describe(model, asked, sides, count_executions(counters, model, asked))
        for (model, asked), sides in found.items()
    ]


def count_executions(counters: Table, model: str, version: str) -> int:
    """How often a backend was asked for this version, for one request or for several."""
    (alone,) = counters.get(("alone", model, version), [0.0])
    _, *calls = counters.get(("calls", model, version), [0.0])  # the instances, then the calls by how many they had
    return int(alone + sum(calls))


def describe(model: str, version: str, sides: dict[bool, list[float]], executions: int) -> dict[str, Any]:
    """The entry of one version; `sides` are the sums over its answered (True) and its refused requests."""
    answered = sides.get(True)
    return {
        "name": model,
        "version": version,
        "inference_count": int(answered[INSTANCES]) if answered else 0,
        "execution_count": executions,
        "inference_stats": {
            "success": duration(answered, TOTAL),
            "fail": duration(sides.get(False), TOTAL),
            "queue": duration(answered, QUEUE),
            "compute_infer": duration(answered, MODEL),
        },
    }


def duration(numbers: list[float] | None, place: int) -> dict[str, int]:
    """How many requests, and how long this part of them took in all."""
    if numbers is None:
        return {"count": 0, "ns": 0}
    return {"count": int(numbers[0]), "ns": round(numbers[place] * NANOSECONDS)}
