"""Picking a workload's rows out of ps's output."""

from __future__ import annotations

import pytest

from services.platform.domain.top import check_arguments, select
from shared.errors import Internal, InvalidArgument

OUTPUT = """\
UID          PID    PPID  C CMD
root           1       0  0 init
root          20       1  0 sh -c  sleep 1
root           -       -  0 -
root          21       1  0 other
root           -       -  0 -
"""


def test_rows_of_the_workload_with_their_threads() -> None:
    assert select(OUTPUT, {20}) == (
        ("UID", "PID", "PPID", "C", "CMD"),
        (("root", "20", "1", "0", "sh -c sleep 1"), ("root", "-", "-", "0", "-")),
    )


def test_output_without_pids_cannot_be_used() -> None:
    with pytest.raises(InvalidArgument, match="Couldn't find PID field in ps output"):
        select("CMD\nsh\n", {1})
    with pytest.raises(Internal, match="Unexpected pid 'x'"):
        select("PID\nx\n", {1})


def test_arguments_are_words() -> None:
    assert check_arguments("") == ["-ef"]
    assert check_arguments("aux  -o pid=PID") == ["aux", "-o", "pid=PID"]


def test_another_column_may_not_pass_for_the_pid() -> None:
    with pytest.raises(InvalidArgument, match='specifying "cmd=PID" is not allowed'):
        check_arguments("-o cmd=PID")
