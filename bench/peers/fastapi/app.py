"""
FastAPI on uvicorn, one process per core.

Tuned: uvloop and httptools, no access log, the raw body parsed and written by orjson instead of pydantic models, and
the model called on the event loop, since a call is shorter than a hand-over to a thread.
"""

import orjson
from fastapi import FastAPI, Request, Response

from bench.peers.savedmodel import SavedModel

app = FastAPI()
model = SavedModel()


@app.post("/predict")
async def predict(request: Request) -> Response:
    """`{"instances": [{...}]}` to `{"predictions": [...]}`."""
    instances = orjson.loads(await request.body())["instances"]
    predictions = model.predict_rows(instances)
    answer = orjson.dumps({"predictions": predictions}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(answer, media_type="application/json")
