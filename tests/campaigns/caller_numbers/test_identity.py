"""How a carrier gets our number: only digits come out, and always those of the number that was chosen."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.caller_numbers.identity import identity_of
from campaigns.errors import BadInput
from campaigns.states import Pai, Privacy
from dialer.asterisk.ami.errors import UnsafeText
from dialer.asterisk.ami.text import caller_id, sip_header_line
from tests.campaigns.test_gates import TRUNK


@given(
    number=st.from_regex(r"\+86(1[3-9][0-9]{9}|21[5-6][0-9]{7})|\+1212[2-9][0-9]{6}", fullmatch=True),
    form=st.sampled_from(["e164", "national", "digits"]),
    prefix=st.from_regex(r"[0-9]{0,8}", fullmatch=True),
    pai=st.sampled_from(Pai),
    privacy=st.sampled_from(Privacy),
    domain=st.sampled_from(["", "carrier.example", "10.0.0.1"]),
)
def test_every_header_holds_the_chosen_number_and_is_one_that_may_be_sent(
    number: str, form: str, prefix: str, pai: Pai, privacy: Privacy, domain: str
) -> None:
    prefix = "" if form == "e164" else prefix  # the database sees to it
    trunk = replace(TRUNK, caller_format=form, caller_prefix=prefix, pai=pai, privacy=privacy, domain=domain, diversion=number)  # fmt: skip
    said = identity_of(number, trunk)
    significant = number[3:] if number.startswith("+86") else number[1:]
    assert ("P-Asserted-Identity" in said.headers) == (pai is not Pai.OFF)
    assert ("Privacy" in said.headers) == (said.from_number == "") == (privacy is Privacy.ID)
    assert said.from_number == "" or said.from_number.endswith(significant)
    caller_id(said.from_number or "1")
    for name, value in said.headers.items():
        assert name == "Privacy" or re.search(rf"{significant}(@|>)", value)
        assert sip_header_line(name, value) == f"PJSIP_HEADER(add,{name})={value}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("P-Asserted-Identity", "<tel:+862155550000>,x"),
        ("P-Asserted-Identity", "<sip:1234567@a>\r\nTo: x"),
        ("P-Asserted-Identity", "<sip:1234567@${SHELL(id)}>"),
        ("P-Asserted-Identity", '"Bank" <tel:+862155550000>'),
        ("Diversion", "<tel:+862155550000>"),
        ("Privacy", "none"),
        ("To", "<tel:+862155550000>"),
        ("P-Asserted-Identity)=x,SHELL(id", "<tel:+862155550000>"),
    ],
)
def test_other_headers_and_other_values_are_never_sent(name: str, value: str) -> None:
    with pytest.raises(UnsafeText):
        sip_header_line(name, value)


@pytest.mark.parametrize("number", ["02155550000", "+86215555\r\nX: y", "+86215555;x=y", "", "+0", "anonymous"])
def test_what_is_no_number_is_refused_and_not_written(number: str) -> None:
    with pytest.raises(BadInput):
        identity_of(number, TRUNK)
