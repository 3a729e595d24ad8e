from __future__ import annotations

import pytest

from gateway.http.router import Router
from gateway.routes.table import ROUTES

OPERATIONS = """
GET /containers/json
POST /containers/create
GET /containers/x/json
GET /containers/x/top
GET /containers/x/logs
GET /containers/x/changes
GET /containers/x/export
GET /containers/x/stats
POST /containers/x/resize
POST /containers/x/start
POST /containers/x/stop
POST /containers/x/restart
POST /containers/x/kill
POST /containers/x/update
POST /containers/x/rename
POST /containers/x/pause
POST /containers/x/unpause
POST /containers/x/attach
GET /containers/x/attach/ws
POST /containers/x/wait
DELETE /containers/x
HEAD /containers/x/archive
GET /containers/x/archive
PUT /containers/x/archive
POST /containers/prune
GET /images/json
POST /build
POST /build/prune
POST /images/create
GET /images/a/b/json
GET /images/a/b/history
POST /images/a/b/push
POST /images/a/b/tag
DELETE /images/a/b
GET /images/search
POST /images/prune
POST /commit
GET /images/a/b/get
GET /images/get
POST /images/load
GET /images/a/b/attestations
GET /networks
GET /networks/x
DELETE /networks/x
POST /networks/create
POST /networks/x/connect
POST /networks/x/disconnect
POST /networks/prune
GET /volumes
POST /volumes/create
GET /volumes/x
DELETE /volumes/x
POST /volumes/prune
PUT /volumes/x
POST /containers/x/exec
POST /exec/x/start
POST /exec/x/resize
GET /exec/x/json
GET /swarm
POST /swarm/init
POST /swarm/join
POST /swarm/leave
POST /swarm/update
GET /swarm/unlockkey
POST /swarm/unlock
GET /nodes
GET /services
GET /services/x/logs
GET /tasks
GET /tasks/x/logs
GET /secrets
POST /secrets/create
GET /configs
POST /configs/x/update
GET /plugins
GET /plugins/privileges
POST /plugins/a/b/enable
POST /auth
GET /info
GET /version
GET /_ping
HEAD /_ping
GET /events
GET /system/df
GET /distribution/a/b/json
POST /session
GET /containers/x/checkpoints
POST /containers/x/checkpoints
DELETE /containers/x/checkpoints/y
POST /build/cancel
POST /grpc
GET /networks/
GET /debug/vars
""".strip().splitlines()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_is_routed(operation: str) -> None:
    method, path = operation.split(" ")
    route, _ = Router(ROUTES).find(method, path)
    assert route.method == method


def test_no_operation_is_there_twice() -> None:
    keys = [(route.method, route.template) for route in ROUTES]
    assert len(keys) == len(set(keys))
