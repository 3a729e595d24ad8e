# mypy: ignore-errors
"""Counts in Redis who has asked, and tells what the proxy before it says of them."""

import os

import redis
from flask import Flask, request

app = Flask(__name__)


@app.get("/health")
def health():
    return "well"


@app.get("/")
def index():
    count = redis.Redis(host=os.environ["QUEUE"]).incr("asked")
    return {"count": count, "host": request.headers["Host"], "by": request.headers.get("X-Forwarded-For", "")}
