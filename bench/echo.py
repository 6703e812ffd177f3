"""The reference every figure is a ratio to: a bare Flask view that parses a JSON body and writes it back."""

from flask import Flask, Response, jsonify, request

app = Flask(__name__)


@app.post("/echo")
def echo() -> Response:
    """The body, parsed and written again."""
    return jsonify(request.get_json())
