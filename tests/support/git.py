"""A git repository and who serves it: git's own daemon, its CGI program for HTTP, or plain files."""

from __future__ import annotations

import functools
import http.server
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from tools.bench.registry import free_port

SECONDS = 60
_ENVIRONMENT = {
    "PATH": os.defpath, "HOME": "/", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
    "GIT_AUTHOR_DATE": "1700000000 +0000", "GIT_COMMITTER_DATE": "1700000000 +0000",
}  # fmt: skip


class GitRepository:
    """`root/NAME.git`, bare; `commit` writes files and links in a tree beside it."""

    def __init__(self, root: Path, name: str = "made") -> None:
        self.root, self.name, self._tree = root, f"{name}.git", root / f"{name}-tree"
        self._tree.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str, input: str = "") -> str:
        """A git command in the tree; its output."""
        done = subprocess.run(
            ["git", *arguments], cwd=self._tree, env=_ENVIRONMENT, capture_output=True, text=True, check=False,
            input=input,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str], links: Mapping[str, str] | None = None) -> str:
        """Commits, and publishes all branches and tags; the commit's id."""
        for name, text in files.items():
            (self._tree / name).parent.mkdir(parents=True, exist_ok=True)
            (self._tree / name).write_text(text)
        for name, target in (links or {}).items():
            (self._tree / name).symlink_to(target)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "message")
        self.publish()
        return self.git("rev-parse", "HEAD")

    def publish(self) -> None:
        """What is there now is what is served."""
        bare = self.root / self.name
        if not bare.exists():
            self.git("clone", "-q", "--bare", ".", str(bare))
        self.git("push", "-q", "--force", "--all", str(bare))
        self.git("push", "-q", "--force", "--tags", str(bare))
        self.git("--git-dir", str(bare), "update-server-info")


@contextmanager
def git_daemon(root: Path) -> Iterator[str]:
    """Serves the repositories below root; what stands before their names."""
    port = free_port()
    options = ["--listen=127.0.0.1", f"--port={port}", f"--base-path={root}", "--export-all", str(root)]
    command = ["git", "daemon", *options]
    with subprocess.Popen(command, env=_ENVIRONMENT, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            until_listening(process.pid, port)
            yield f"git://127.0.0.1:{port}/"
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # git runs its daemon in a child


def until_listening(pid: int, port: int) -> None:
    """As the kernel tells: nobody has to knock."""
    deadline = time.monotonic() + SECONDS
    while f"0100007F:{port:04X} 00000000:0000 0A" not in Path(f"/proc/{pid}/net/tcp").read_text():
        assert time.monotonic() < deadline, "git daemon does not listen"
        time.sleep(0.02)


@contextmanager
def git_http(root: Path, smart: bool) -> Iterator[str]:
    """The same over HTTP: by git's program, or as plain files."""
    handler = functools.partial(_Smart if smart else _Plain, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class _Plain(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


class _Smart(_Plain):
    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        url = urlsplit(self.path)
        environment = {
            **_ENVIRONMENT, "GIT_PROJECT_ROOT": self.directory, "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": url.path,
            "QUERY_STRING": url.query, "REQUEST_METHOD": self.command, "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
        }  # fmt: skip
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
