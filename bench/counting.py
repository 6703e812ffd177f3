"""
What counting a request for /metrics costs, beside prometheus_client's own values for several processes.

`python bench/counting.py`; best of five rounds, microseconds.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def microseconds(function: Callable[[], Any], times: int = 50_000) -> float:
    """One call of a function, in the best round."""
    rounds = []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(times):
            function()
        rounds.append((time.perf_counter() - began) / times * 1e6)
    return min(rounds)


def main() -> None:
    """Print the table."""
    from stork.config import Settings
    from stork.schema.decode import example_of
    from stork.serving.ask import Ask
    from stork.serving.metrics import SECONDS
    from stork.serving.predictor import Predictor
    from stork.store.prediction_log import Record

    with tempfile.TemporaryDirectory() as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        from prometheus_client import Counter, Histogram

        predictor = Predictor(Settings(root=Path(folder) / "var", log=f"{folder}/log"))
        model, metrics = predictor.default_model, predictor.metrics
        body = json.dumps(example_of(predictor.version(model).schema)).encode()
        latency = {"total": 0.04, "queue": 0.001, "model": 0.01}
        record = Record("1", datetime.now(UTC), model, 1, "", "api", 200, 1, [], {}, latency, "dynamic")
        requests = Counter("requests", "", ["model", "version", "dialect", "status", "origin"])
        parts = [Histogram(part, "", ["model", "version"], buckets=SECONDS) for part in latency]

        def count_here() -> None:
            metrics.enter()
            metrics.count(model, record)
            metrics.leave("api", 200)

        def count_there() -> None:
            requests.labels(model, 1, "api", 200, "dynamic").inc()
            for part in parts:
                part.labels(model, 1).observe(0.00004)

        ask = Ask(body, path="$", single=True)
        print(f"an empty call               {microseconds(lambda: None):6.2f}")
        print(f"counting here               {microseconds(count_here):6.2f}")
        print(f"prometheus_client's values  {microseconds(count_there):6.2f}")
        print(f"a whole prediction          {microseconds(lambda: predictor.predict(ask), 10_000):6.2f}")
        print(f"a scrape's sums             {microseconds(metrics.total, 200):6.2f}")


if __name__ == "__main__":
    main()
