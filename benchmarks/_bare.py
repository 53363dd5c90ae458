"""The peer of `auth.py`: one route that answers a run as JSON. Flask, and nothing else."""

from __future__ import annotations

import json
import os

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue

app = Flask("bare")
run = json.loads(os.environ["BENCH_RUN"])


@app.get("/api/runs/<run_id>")
def read_run(run_id: str) -> ResponseReturnValue:
    """The same run, whichever is asked for."""
    return jsonify(run)
