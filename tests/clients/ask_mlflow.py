"""Ask a running Stork with MLflow's own client of its scoring server: URL INSTANCE -> JSON of what it says."""

import json
import os
import sys
import types
from typing import Any
from urllib.parse import urlsplit


def ask(url: str, instance: dict[str, Any]) -> dict[str, Any]:
    """What the client makes of a frame, of rows, and of what is refused."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    # It looks whether there is a scipy.sparse, and fails where there is not even a scipy, which nothing here needs.
    sys.modules["scipy"] = types.ModuleType("scipy")
    sys.modules["scipy"].__path__ = []
    import pandas as pd
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    where = urlsplit(url)
    client = ScoringServerClient(where.hostname, where.port)
    client.wait_server_ready()
    frame = pd.DataFrame([instance, {**instance, "cigarette_use": True}]).infer_objects()
    frame["alcohol_use"] = frame["alcohol_use"].astype(float)  # nothing known: a column of NaN
    try:
        error = None
        client.invoke(pd.DataFrame([{**instance, "mother_age": 9}]))
    except Exception as raised:  # it raises nothing more special
        error = str(raised)
    return {
        "frame": client.invoke(frame).get_predictions(dtype="float32", predictions_format="ndarray").tolist(),
        "as_frame": client.invoke(frame).get_predictions().shape,
        "inputs": client.invoke([instance])["predictions"],
        "records": client.invoke(json.dumps({"dataframe_records": [instance]}))["predictions"],
        "pinned": client.invoke(frame.head(1), params={"version": 1})["predictions"],
        "version": client.get_version(),
        "error": error,
    }


if __name__ == "__main__":
    url, instance = sys.argv[1:]
    print(json.dumps(ask(url, json.loads(instance))))
