"""A program that uses testcontainers and then dies without cleaning up: the reaper has to.

Prints a JSON document with the id of its container, of the reaper, and what the container answered.
"""

import json
import os
import sys
import urllib.request

from testcontainers.core.container import DockerContainer, Reaper
from testcontainers.core.wait_strategies import LogMessageWaitStrategy


def main() -> None:
    command = "echo served by shoal >/tmp/index.html; echo ready; exec httpd -f -p 80 -h /tmp"
    container = DockerContainer("busybox:latest").with_command(["sh", "-c", command]).with_exposed_ports(80)
    container.waiting_for(LogMessageWaitStrategy("ready"))
    container.start()
    url = f"http://{container.get_container_host_ip()}:{container.get_exposed_port(80)}/index.html"
    page = urllib.request.urlopen(url, timeout=10).read().decode()
    executed = container.exec(["sh", "-c", "echo inside; exit 3"])
    reaper = Reaper._container
    assert reaper is not None
    print(
        json.dumps(
            {
                "container": container.get_wrapped_container().id,
                "reaper": reaper.get_wrapped_container().id,
                "page": page,
                "exec": [executed.exit_code, executed.output.decode()],
                "logs": container.get_logs()[0].decode(),
            }
        )
    )
    if sys.argv[1:] == ["clean"]:
        container.stop()
        return
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
