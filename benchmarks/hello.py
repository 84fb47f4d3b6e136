"""The yardstick: the smallest Flask application, and a route that only reads and parses a body."""

import json

from flask import Flask, request

app = Flask(__name__)


@app.get("/")
def hello() -> str:
    return "hello"


@app.post("/json")
def parse() -> str:
    json.loads(request.get_data())
    return "ok"
