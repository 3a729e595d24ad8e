from shared.config import Settings
from tools.supervisor.plan import CLUSTERED, DRIVERS, GATEWAY, SERVICES
from tools.supervisor.users import OPERATOR, broker_users


def test_each_engine_service_has_an_identity_of_its_own(tmp_path):
    users = broker_users(Settings(state_dir=str(tmp_path)))
    assert len({user["nkey"] for user in users}) == len(users)
    assert {path.stem for path in (tmp_path / "keys").glob("*.nk")} == {
        GATEWAY,
        OPERATOR,
        *CLUSTERED,
        *SERVICES,
        *DRIVERS,
    }


def test_nobody_may_say_everything(tmp_path):
    for user in broker_users(Settings(state_dir=str(tmp_path))):
        allowed = user["permissions"]["publish"]["allow"]
        assert allowed
        assert not {">", "*", "$JS.>"} & set(allowed)
