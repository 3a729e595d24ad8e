import socket
import ssl
import threading
from pathlib import Path

import pytest

from shared import pki
from shared.clock import now_ns
from shared.errors import InvalidArgument, Unauthenticated

DAY = 86_400_000_000_000


def host(by: pki.Identity, node: str, now: int | None = None) -> pki.Identity:
    key = pki.new_key()
    return pki.Identity(pki.issue(by, pki.request(key), node, "127.0.0.1", now or now_ns()), key)


def context(side: ssl._SSLMethod, own: pki.Identity, trusted: pki.Identity, folder: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(side)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    (folder / "own").write_bytes(own.certificate + own.key)
    made.load_cert_chain(folder / "own")
    made.load_verify_locations(cadata=trusted.certificate.decode())
    made.verify_mode = ssl.CERT_REQUIRED
    return made


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> dict:
    """What the server learns of its client; raises what the client's side raises."""
    told: dict = {}
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            try:
                with server.wrap_socket(connection, server_side=True) as secured:
                    told.update(secured.getpeercert() or {})
                    secured.sendall(b"!")
            except OSError:
                connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            connection = socket.create_connection(listening.getsockname())
            with connection, client.wrap_socket(connection, server_hostname="127.0.0.1") as secured:
                assert secured.recv(1) == b"!"
        finally:
            thread.join()
    return told


def test_hosts_of_one_cluster_know_each_other(tmp_path):
    ours = pki.authority("c1", now_ns())
    server = context(ssl.PROTOCOL_TLS_SERVER, host(ours, "node-a"), ours, tmp_path)
    told = shake_hands(server, context(ssl.PROTOCOL_TLS_CLIENT, host(ours, "node-b"), ours, tmp_path))
    assert told["subject"] == ((("commonName", "node-b"),),)


@pytest.mark.parametrize("which", ["another cluster's", "expired"])
def test_others_are_not_let_in(tmp_path, which):
    ours, others = pki.authority("c1", now_ns()), pki.authority("c1", now_ns())
    own = host(others, "node-b") if which == "another cluster's" else host(ours, "node-b", now_ns() - 91 * DAY)
    server = context(ssl.PROTOCOL_TLS_SERVER, host(ours, "node-a"), ours, tmp_path)
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        shake_hands(server, context(ssl.PROTOCOL_TLS_CLIENT, own, ours, tmp_path))


def test_a_certificate_is_made_out_to_what_the_issuer_knows():
    ours = pki.authority("c1", now_ns())
    made = host(ours, "node-a")
    assert pki.node_of(made.certificate) == "node-a"
    assert pki.fingerprint(ours.certificate) != pki.fingerprint(pki.authority("c1", now_ns()).certificate)
    assert len(pki.fingerprint(ours.certificate)) == 52


def test_two_thirds_of_its_time():
    now = now_ns()
    at = pki.renewal(host(pki.authority("c1", now), "node-a", now).certificate)
    assert abs(at - now - 60 * DAY) < DAY


@pytest.mark.parametrize(
    "asked",
    [b"", b"nonsense", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", b"x" * 20000],
)
def test_no_signing_request(asked):
    with pytest.raises(InvalidArgument, match="no signing request"):
        pki.issue(pki.authority("c1", now_ns()), asked, "node-a", "127.0.0.1", now_ns())


def test_a_signing_request_that_was_tampered_with():
    asked = pki.request(pki.new_key())
    other = pki.request(pki.new_key())
    lines, others = asked.splitlines(), other.splitlines()
    lines[2] = others[2]
    with pytest.raises(InvalidArgument, match="no signing request"):
        pki.issue(pki.authority("c1", now_ns()), b"\n".join(lines), "node-a", "127.0.0.1", now_ns())


def test_who_issued_a_certificate():
    now, ours = now_ns(), pki.authority("c1", now_ns())
    der = ssl.PEM_cert_to_DER_cert(host(ours, "node-a").certificate.decode())
    pki.check_issued(der, ours.certificate, now)
    with pytest.raises(Unauthenticated, match="not by the cluster's authority"):
        pki.check_issued(der, pki.authority("c1", now).certificate, now)
    with pytest.raises(Unauthenticated, match="expired"):
        pki.check_issued(der, ours.certificate, now + 91 * DAY)
    with pytest.raises(Unauthenticated, match="not by"):
        pki.check_issued(b"nonsense", ours.certificate, now)


def test_what_is_sealed_for_a_key_only_that_key_opens():
    key = pki.new_key()
    sealed = pki.seal(b"secret", pki.request(key))
    assert pki.unseal(sealed, key) == b"secret"
    for wrong, by in ((sealed, pki.new_key()), (sealed[:-1] + bytes([sealed[-1] ^ 1]), key), (b"", key)):
        with pytest.raises(InvalidArgument):
            pki.unseal(wrong, by)


def test_a_renewed_certificate_has_the_same_pin():
    key = pki.new_key()
    assert pki.pin(pki.request(key)) == pki.pin(pki.request(key)) != pki.pin(pki.request(pki.new_key()))
    with pytest.raises(InvalidArgument):
        pki.pin(b"nonsense")
