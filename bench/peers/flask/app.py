"""
The app of a lab: Flask as its quickstart has it, on gunicorn, the model called by its signature.

Untuned on purpose, but for processes and threads: it is what most teams have before they look for a server.
"""

import os

import numpy as np
import tensorflow as tf
from flask import Flask, Response, jsonify, request

app = Flask(__name__)
loaded = tf.saved_model.load(os.environ["PEER_MODEL"])
signature = loaded.signatures["serving_default"]
INPUTS = signature.structured_input_signature[1]


@app.post("/predict")
def predict() -> Response:
    """`{"instances": [{...}]}` to `{"predictions": [...]}`."""
    instances = request.get_json()["instances"]
    feed = {name: tf.constant([row[name] for row in instances], spec.dtype) for name, spec in INPUTS.items()}
    (output,) = signature(**feed).values()
    return jsonify(predictions=np.asarray(output).tolist())
