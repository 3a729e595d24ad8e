"""testcontainers' reaper as an image that can be made here.

No registry is at hand for testcontainers/ryuk, so this builds an image of that name out of busybox, Debian's
perl-base (part of every Debian) and `reaper.pl`, which speaks ryuk's protocol.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tools.images import Image, busybox, entry, tar

NAME = "testcontainers/ryuk:0.8.1"
SCRIPT = Path(__file__).with_name("reaper.pl")
PERL = Path("/usr/bin/perl")
PACKAGE = "perl-base"


def reaper_image() -> Image:
    """Starts the reaper on port 8080."""
    files = [entry("reaper.pl", SCRIPT.read_bytes())]
    files += [entry(str(path).lstrip("/"), path.read_bytes(), mode=0o755) for path in (PERL, *libraries(), *modules())]
    config = {"Entrypoint": ["/usr/bin/perl", "/reaper.pl"], "Env": ["PATH=/bin:/usr/bin"]}
    return Image((*busybox().layers, tar(files)), config, (NAME,))


def libraries() -> list[Path]:
    """The shared libraries of perl, with the dynamic linker."""
    out = subprocess.run(["ldd", PERL], check=True, capture_output=True, text=True).stdout
    return [Path(name) for name in re.findall(r"(/\S+) \(0x", out)]


def modules() -> list[Path]:
    """The modules of perl-base."""
    out = subprocess.run(["dpkg", "-L", PACKAGE], check=True, capture_output=True, text=True).stdout
    paths = [Path(line) for line in out.splitlines() if f"/{PACKAGE}/" in line and "/doc/" not in line]
    return [path for path in paths if path.is_file() and path.suffix in (".pm", ".so", ".pl", "")]
