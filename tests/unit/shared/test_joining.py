import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidArgument
from shared.joining import Token, digest

AUTHORITY = "a" * 52


def test_a_token_reads_back_as_written():
    token = Token.new(AUTHORITY)
    assert Token.parse(f" {token}\n") == token
    assert token.secret != Token.new(AUTHORITY).secret
    assert len(digest(token.secret)) == 64


@given(st.text())
def test_no_token_is_told_without_repeating_it(text):
    with pytest.raises(InvalidArgument, match="no join token") as raised:
        Token.parse(text + "!")
    assert len(text) < 3 or text not in raised.value.message


def test_a_token_that_was_cut_off():
    with pytest.raises(InvalidArgument, match="no join token"):
        Token.parse(str(Token.new(AUTHORITY))[:-1])
