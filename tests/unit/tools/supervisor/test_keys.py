import threading

import nkeys

from tools.supervisor.keys import public_key


def test_a_seed_is_made_once_and_only_root_reads_it(tmp_path):
    folder = tmp_path / "keys"
    key = public_key(folder, "network")
    assert key.startswith("U")
    assert public_key(folder, "network") == key
    assert (folder / "network.nk").stat().st_mode & 0o7777 == 0o600
    assert folder.stat().st_mode & 0o7777 == 0o700
    assert nkeys.from_seed(bytearray((folder / "network.nk").read_bytes().strip())).public_key.decode() == key


def test_each_service_has_its_own(tmp_path):
    assert public_key(tmp_path, "network") != public_key(tmp_path, "volume")


def test_starters_at_the_same_time_agree(tmp_path):
    seen: list[str] = []
    threads = [threading.Thread(target=lambda: seen.append(public_key(tmp_path, "x"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1
