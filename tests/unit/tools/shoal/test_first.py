import json

from hypothesis import given
from hypothesis import strategies as st

from tests.support.answers import answering
from tools.shoal.first import has_image, plain, run_with_api


def frame(kind: int, data: bytes) -> bytes:
    return bytes((kind, 0, 0, 0)) + len(data).to_bytes(4) + data


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.text(max_size=50))))
def test_framed_logs_become_their_text(frames):
    stream = b"".join(frame(kind, text.encode()) for kind, text in frames)
    assert plain(stream) == "".join(text for _, text in frames)


def test_the_container_is_removed_after_its_run(tmp_path):
    answers = {
        "GET /images/busybox/json": (404, b'{"message": "No such image: busybox"}'),
        "POST /containers/create": (201, json.dumps({"Id": "c1"}).encode()),
        "POST /containers/c1/start": (204, b""),
        "POST /containers/c1/wait": (200, b'{"StatusCode": 0}'),
        "GET /containers/c1/logs": (200, frame(1, b"hello\n")),
        "DELETE /containers/c1": (204, b""),
    }
    with answering(tmp_path / "s", answers) as asked:
        assert not has_image(tmp_path / "s")
        assert run_with_api(tmp_path / "s") == "hello\n"
    assert asked == list(answers)
