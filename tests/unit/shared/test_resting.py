from shared import resting
from shared.config import Settings


def test_who_is_called_by_foreign_programs_does_not_rest():
    assert resting.rests("builder", ())
    assert not resting.rests("executor", ())
    assert not resting.rests("builder", ("gateway",))
    assert not resting.rests("builder", ("builder",))


def test_who_was_wanted_is_told_once(tmp_path):
    settings = Settings(run_dir=str(tmp_path))
    assert not resting.want(settings, "builder"), "there is no engine"
    resting.records(settings).mkdir()
    assert resting.want(settings, "builder")
    assert resting.want(settings, "builder")
    assert not resting.want(settings, "executor")
    assert resting.take(resting.records(settings)) == ["builder"]
    assert resting.take(resting.records(settings)) == []
