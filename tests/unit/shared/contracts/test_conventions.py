from shared.contracts.conventions import RECORDS, WIRE


def test_headers_have_their_real_names_and_say_what_they_mean() -> None:
    for described in (WIRE["requestHeaders"], WIRE["replyHeaders"], RECORDS["writeHeaders"]):
        for name, header in described["properties"].items():
            assert "_" not in name
            assert len(header["description"]) > 10
    assert "Nats-Expected-Last-Subject-Sequence" in RECORDS["writeHeaders"]["properties"]
