from tools.sim.measure import Result, measure, row


def test_what_is_measured() -> None:
    one = measure(hosts=20, containers=100, placements=20)
    assert (one.hosts, one.containers) == (20, 100)
    assert one.a_second > 0
    assert one.median <= one.slowest
    assert one.spread[0] <= 100 / 20 <= one.spread[1] + 1


def test_a_line_of_the_table() -> None:
    one = Result(1000, 20_000, 5432.1, 0.0001, 0.002, 3_400_000, (1, 30), 2.5)
    assert row(one) == "| 1,000 | 20,000 | 5,432 | 100 µs | 2000 µs | 3 MB | 1 to 30 | 2.5 |"
