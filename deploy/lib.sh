# Functions of deploy/up, deploy/down and tests/run. POSIX shell: all that a fresh Debian has.
# Sourced with $checkout set.

prefix=${SHOAL_PREFIX:-/opt/shoal}
venv=${SHOAL_VENV:-$prefix/venv}

fail() {
    printf '%s: %s\n' "$0" "$1" >&2
    exit 1
}

say() {
    printf '==> %s\n' "$1"
}

require_root() {
    [ "$(id -u)" = 0 ] || fail "run this as root"
}

# One installation at a time: the lock is held until the caller ends, or calls unlock.
lock() {
    mkdir -p "$prefix"
    exec 9>"$prefix/.lock"
    flock 9
}

unlock() {
    exec 9>&-
}

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Installs those of the packages that are missing; touches neither apt nor its lists when none is.
packages() {
    missing=
    for package in "$@"; do
        installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    say "installing system packages:$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt_get update
    # shellcheck disable=SC2086 # a list of names
    without_starting_services apt_get install --no-install-recommends $missing
}

apt_get() {
    apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" </dev/null >"$prefix/apt.log" 2>&1 9>&- ||
        { tail -n 20 "$prefix/apt.log" >&2; fail "apt-get $* failed; all it said is in $prefix/apt.log"; }
}

# What is installed as a tool for tests (a dockerd, for one) must not begin to run as a service of this machine.
without_starting_services() {
    policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then
        "$@"
        return
    fi
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
    "$@"
    rm -f "$policy"
    trap - EXIT
}

# The virtual environment with exactly the pinned packages of a lock file.
environment() {
    stamp=$venv/.$(basename "$1")
    wanted=$(sha256sum <"$1")
    "$venv/bin/python" -c '' 2>/dev/null || {
        say "making the virtual environment $venv"
        /usr/bin/python3 -m venv --clear "$venv" 9>&-
    }
    [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
    say "installing Python packages of $(basename "$1")"
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-input --only-binary :all: --no-binary nkeys \
        --require-hashes -r "$1" >"$prefix/pip.log" 2>&1 9>&- ||
        { tail -n 20 "$prefix/pip.log" >&2; fail "pip could not install the packages of $1"; }
    printf '%s\n' "$wanted" >"$stamp.$$"
    mv "$stamp.$$" "$stamp"
}

# crun, conmon and criu that are new enough: the system's own, or in a private prefix.
toolchain() {
    in_checkout -m tools.toolchain --prefix "$prefix/runtime" >"$prefix/toolchain.log" 2>&1 9>&- ||
        { cat "$prefix/toolchain.log" >&2; fail "the runtime toolchain could not be made"; }
}

# dockerd 20.10, which tests compare answers with: the system's own, or in a private prefix.
reference() {
    export SHOAL_REFERENCE="$prefix/reference"
    in_checkout -m tools.toolchain --reference --prefix "$SHOAL_REFERENCE" >"$prefix/reference.log" 2>&1 9>&- ||
        { cat "$prefix/reference.log" >&2; fail "dockerd 20.10 could not be had"; }
}

# Python of the environment with this checkout's modules.
in_checkout() {
    PYTHONPATH=$checkout "$venv/bin/python" -P "$@"
}

# What the engine needs to run, and its Python environment and runtime toolchain.
install_engine() {
    packages ca-certificates python3 python3-venv libnftables1 busybox-static tini procps
    environment "$checkout/deploy/requirements.lock"
    toolchain
    compiled shared services gateway tools
}

# Byte code of these folders, so that no process has to compile them: in a supervisor that leaves 4 MB for good, and takes half
# a second at each start. A checkout that cannot be written to works without.
compiled() {
    (cd "$checkout" && "$venv/bin/python" -m compileall -q "$@" >/dev/null 2>&1 9>&-) || true
}
