"""Who is let in: hosts of the cluster, and nobody else."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from shared import mutual_tls, pki
from shared.clock import now_ns
from tests.support.certified import certify


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends after a handshake in memory; raises what either end raises."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = client.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True)
    for end in ends * 3:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            pass
    ends[1].do_handshake()
    return ends


@pytest.fixture
def authority() -> pki.Identity:
    return pki.authority("c1", now_ns())


def test_both_ends_learn_who_the_other_is(tmp_path: Path, authority: pki.Identity) -> None:
    certify(tmp_path / "a", "node-a", authority)
    certify(tmp_path / "b", "node-b", authority)
    client, server = shake_hands(mutual_tls.server(tmp_path / "a"), mutual_tls.client(tmp_path / "b"))
    assert mutual_tls.node_of(client.getpeercert()) == "node-a"
    assert mutual_tls.node_of(server.getpeercert()) == "node-b"
    assert client.version() == "TLSv1.3"


def test_another_clusters_host_is_refused(tmp_path: Path, authority: pki.Identity) -> None:
    certify(tmp_path / "a", "node-a", authority)
    certify(tmp_path / "b", "node-b")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(mutual_tls.server(tmp_path / "a"), mutual_tls.client(tmp_path / "b"))


def test_who_shows_no_certificate_is_refused(tmp_path: Path, authority: pki.Identity) -> None:
    certify(tmp_path / "a", "node-a", authority)
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE
    with pytest.raises(ssl.SSLError, match="did not return a certificate"):
        shake_hands(mutual_tls.server(tmp_path / "a"), stranger)


def test_without_files_there_is_no_context(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        mutual_tls.server(tmp_path)
    assert mutual_tls.node_of(None) == ""


def test_a_silent_peer_is_noticed_by_who_only_reads() -> None:
    with socket.socket() as connection:
        mutual_tls.notice_loss(connection)
        idle, interval, count = (
            connection.getsockopt(socket.IPPROTO_TCP, name)
            for name in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert idle + interval * count <= mutual_tls.SILENCE_SECONDS
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == mutual_tls.SILENCE_SECONDS * 1000
