"""A real nats-server as the engine configures it: JetStream synced on every write, one nkey user per service."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import msgspec

from shared.config import Settings
from tests.support.process import Process
from tests.support.waiting import until
from tools.supervisor import broker, keys
from tools.supervisor.users import broker_users

RELOADED = "Reloaded server configuration"
TESTER = "tester"
"""A user who may do everything."""


class Broker:
    """Runs until `close`; its data, its port and the keys of its users outlive a `kill` and a `start`.

    `users` replaces the engine's users by others (nats-server's `authorization.users`), besides the tester.
    """

    def __init__(self, directory: Path, users: list[dict[str, Any]] | None = None) -> None:
        self.settings = Settings(state_dir=str(directory / "broker"), run_dir=str(directory))
        self.keys = self.settings.state_path / "keys"
        self.port = -1  # the server chooses a free one
        tester = {"nkey": keys.public_key(self.keys, TESTER)}
        self._users = [*(broker_users(self.settings) if users is None else users), tester]
        self._process: Process | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def seed(self, user: str = TESTER) -> Path:
        """The key file of a user."""
        return self.keys / f"{user}.nk"

    @property
    def pid(self) -> int:
        assert self._process is not None, "the broker does not run"
        return self._process.pid

    def start(self) -> Broker:
        """Returns when it serves, always on the same port."""
        self._process = Process(
            [broker.program(), "-c", str(self._write())],
            ready=r"Listening for client connections on 127\.0\.0\.1:(\d+)",
        )
        self.port = int(self._process.wait()[1])
        return self

    def _write(self) -> Path:
        configuration = broker.configuration(self.settings, self.port, self._users)
        told = {key: value for key, value in configuration.items() if not key.startswith("log")}
        path = broker.folder(self.settings) / "nats.json"
        path.write_bytes(msgspec.json.encode(told))
        return path

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()

    def pause(self) -> None:
        """SIGSTOP: it hangs from now on."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    async def reload(self) -> None:
        """Has it read its configuration anew; returns when it has."""
        process = self._process
        assert process is not None, "the broker does not run"
        before = process.log.count(RELOADED)
        os.kill(process.pid, signal.SIGHUP)
        await until(lambda: process.log.count(RELOADED) > before)

    def close(self) -> str:
        """Ends the server; what it printed."""
        if self._process is None:
            return ""
        self._process.close()
        return self._process.log
