"""PostgreSQL, Redis and Python as images that are used as Docker's official ones of these names are."""

from __future__ import annotations

from tests.support.debian_images import PATH, Recipe

_POSTGRES_ENTRYPOINT = """#!/bin/sh
# As the official image: a database from POSTGRES_USER, POSTGRES_PASSWORD (or _FILE), POSTGRES_DB at the first start.
set -eu
case ${1:-} in -*) set -- postgres "$@" ;; esac
[ "${1:-}" = postgres ] || exec "$@"
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA"
    chown -R postgres:postgres "$PGDATA"
    chmod 700 "$PGDATA"
    exec su -p -c 'exec "$0" "$@"' -- postgres "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    [ -z "${POSTGRES_PASSWORD_FILE:-}" ] || POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
    [ -n "${POSTGRES_PASSWORD:-}" ] || { echo "Error: superuser password is not specified." >&2; exit 1; }
    user=${POSTGRES_USER:-postgres}
    database=${POSTGRES_DB:-$user}
    printf '%s' "$POSTGRES_PASSWORD" >/tmp/password
    initdb --username="$user" --pwfile=/tmp/password --encoding=UTF8 --no-locale --no-sync ${POSTGRES_INITDB_ARGS:-}
    rm /tmp/password
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
    pg_ctl start --wait -o "-c listen_addresses=''"
    export PGHOST=/var/run/postgresql PGUSER=$user
    [ "$database" = postgres ] || psql -qd postgres -c "CREATE DATABASE \\"$database\\""
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
            *.sh) sh "$file" ;;
            *.sql) psql -v ON_ERROR_STOP=1 -d "$database" -f "$file" ;;
            *.sql.gz) gunzip -c "$file" | psql -v ON_ERROR_STOP=1 -d "$database" ;;
        esac
    done
    unset PGHOST PGUSER
    pg_ctl stop --wait --mode=fast
    echo
    echo "PostgreSQL init process complete; ready for start up."
    echo
fi
exec "$@"
"""

_REDIS_ENTRYPOINT = """#!/bin/sh
# As the official image: the server does not run as root, and keeps its data in /data.
set -eu
case ${1:-} in -* | *.conf) set -- redis-server "$@" ;; esac
if [ "${1:-}" = redis-server ]; then
    shift
    set -- redis-server --protected-mode no --dir /data "$@"
    [ "$(id -u)" != 0 ] || { chown -R redis:redis /data; exec su -p -c 'exec "$0" "$@"' -- redis "$@"; }
fi
exec "$@"
"""

POSTGRES = Recipe(
    tags=("postgres:17", "postgres:latest"),
    packages=("postgresql-17", "tzdata"),
    config={
        "Env": [f"PATH=/usr/lib/postgresql/17/bin:{PATH}", "PGDATA=/var/lib/postgresql/data", "LANG=C.UTF-8"],
        "Entrypoint": ["docker-entrypoint.sh"],
        "Cmd": ["postgres"],
        "ExposedPorts": {"5432/tcp": {}},
        "Volumes": {"/var/lib/postgresql/data": {}},
        "StopSignal": "SIGINT",
    },
    users=("postgres:x:999:999::/var/lib/postgresql:/bin/sh",),
    folders={"var/lib/postgresql/data": 999, "run/postgresql": 999, "docker-entrypoint-initdb.d": 0},
    programs={"usr/local/bin/docker-entrypoint.sh": _POSTGRES_ENTRYPOINT},
)

REDIS = Recipe(
    tags=("redis:8", "redis:latest"),
    packages=("redis-server", "redis-tools"),
    config={
        "Entrypoint": ["docker-entrypoint.sh"],
        "Cmd": ["redis-server"],
        "ExposedPorts": {"6379/tcp": {}},
        "Volumes": {"/data": {}},
        "WorkingDir": "/data",
    },
    users=("redis:x:999:999::/data:/bin/sh",),
    folders={"data": 999},
    programs={"usr/local/bin/docker-entrypoint.sh": _REDIS_ENTRYPOINT},
)

PYTHON = Recipe(
    tags=("python:3", "python:latest"),
    packages=("python3", "python3-redis", "python3-psycopg2"),
    config={"Cmd": ["python3"]},
    programs={"usr/local/bin/python": '#!/bin/sh\nexec python3 "$@"\n'},
)
