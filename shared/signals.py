"""Signals by name and number, as `--stop-signal` and `docker kill -s` take them (Linux numbers of x86 and arm)."""

from __future__ import annotations

from shared.errors import InvalidArgument

SIGKILL = 9
SIGTERM = 15

_NAMED = (
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN "
    "TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
)
_RTMIN, _RTMAX = 34, 64

SIGNALS: dict[str, int] = {
    **{name: number for number, name in enumerate(_NAMED.split(), start=1)},
    "CLD": 17,
    "IOT": 6,
    "POLL": 29,
    "RTMIN": _RTMIN,
    "RTMAX": _RTMAX,
    **{f"RTMIN+{offset}": _RTMIN + offset for offset in range(1, 16)},
    **{f"RTMAX-{offset}": _RTMAX - offset for offset in range(1, 15)},
}
_NUMBERS = frozenset(SIGNALS.values())


def parse(text: str) -> int:
    """The number of `TERM`, `SIGTERM`, `sigterm` or `15`; raises `InvalidArgument` in Docker's words."""
    digits = text.removeprefix("-").removeprefix("+")
    if digits.isascii() and digits.isdigit():
        if int(digits) == 0:
            raise InvalidArgument(f"invalid signal: {text}")
        return int(text)
    number = SIGNALS.get(text.upper().removeprefix("SIG"))
    if number is None:
        raise InvalidArgument(f"invalid signal: {text}")
    return number


def deliverable(text: str) -> int:
    """As `parse`, and the signal exists on this platform."""
    number = parse(text)
    if number not in _NUMBERS:
        raise InvalidArgument(f"the linux daemon does not support signal {number}")
    return number


def stop_signal(configured: str) -> int:
    """The signal that stops a container: the configured one where it is usable, else SIGTERM."""
    try:
        number = parse(configured) if configured else SIGTERM
    except InvalidArgument:
        return SIGTERM
    return number if number in _NUMBERS else SIGTERM
