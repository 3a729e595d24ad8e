# mypy: ignore-errors
"""The database and the queue as the others see them: by the names of the services."""

import psycopg2
import redis


def database():
    with open("/run/secrets/password") as secret:
        connection = psycopg2.connect(host="db", user="postgres", password=secret.read())
    connection.autocommit = True
    return connection


def queue():
    return redis.Redis(host="queue", decode_responses=True)
