"""`shoal` on the PATH, `python -m tools.shoal` anywhere."""

from __future__ import annotations

import sys

import typer

from shared.errors import ShoalError
from tools.cluster.command import clusters, nodes
from tools.lab.command import app as lab

from . import conformance, doctor, down, fsck, migrate, port, referrers, status, trace, up

app = typer.Typer(
    name="shoal",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Start, stop and look after the container engine Shoal.

Containers themselves are handled by any Docker client:

\b
    export DOCKER_HOST=unix:///run/shoal/docker.sock
    docker run --rm busybox echo hello

Every path, name and address range is a setting: /etc/shoal/shoal.toml, another file named by --config or
SHOAL_CONFIG, or environment variables such as SHOAL_STATE_DIR. Engines with different settings for state_dir,
run_dir, bridge_name, interface_prefix and nft_table run side by side.
""",
)
for module in (up, down, status, port, migrate, referrers, doctor, fsck, trace, conformance):
    app.command(module.__name__.rpartition(".")[2])(module.command)
app.add_typer(clusters, name="cluster")
app.add_typer(nodes, name="node")
app.add_typer(lab, name="lab")


def main() -> None:
    """Runs the command line; an error of a known kind is one line on standard error and exit code 1."""
    try:
        app()
    except ShoalError as error:
        print(f"shoal: {error.message}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
