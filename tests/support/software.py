"""PostgreSQL, Redis, Python, nginx and a web app: images built by Dockerfiles of Debian packages.

They are used as Docker's official ones of these names are; the Dockerfiles are in `software_files`.
"""

from __future__ import annotations

from tests.support.debian_images import Recipe

POSTGRES = Recipe("postgres", ("postgres:17", "postgres:latest"), ("postgresql-17", "tzdata"))
REDIS = Recipe("redis", ("redis:8", "redis:latest"), ("redis-server", "redis-tools"))
PYTHON = Recipe("python", ("python:3", "python:latest"), ("python3", "python3-redis", "python3-psycopg2"))
NGINX = Recipe("nginx", ("nginx:1", "nginx:latest"), ("nginx-light",))
WEB = Recipe("web", ("web:1",), ("gunicorn", "passwd", "python3-flask", "python3-redis"))
