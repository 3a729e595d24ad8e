from tools.doctor.findings import Level, ok, warning, wrong


def test_what_is_not_well_has_a_remedy():
    assert ok("a", "b").remedy == ""
    assert warning("a", "b", "do c").level is Level.WARNING
    assert wrong("a", "b", "do c").remedy == "do c"
