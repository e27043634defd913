"""Promises of number reading: what people write is understood, what is not a number is refused, nothing is guessed."""

from __future__ import annotations

import re

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberType

from campaigns import numbers
from campaigns.errors import BadInput
from campaigns.masking import mask
from campaigns.numbers import MAX_NUMBERS, NumberKind, for_trunk, kind_of, normalise, read_cell


@pytest.mark.parametrize(
    "text",
    [
        "13812345678", " 138 1234 5678 ", "138-1234-5678", "+8613812345678", "+86 138 1234 5678", "0086 13812345678", "8613812345678", "013812345678",
        "１３８１２３４５６７８", "＋８６１３８１２３４５６７８", "(+86)138.1234.5678", "'13812345678", "138\u00a01234\u30005678", "\u202d13812345678\u202c",
    ],
)  # fmt: skip
def test_a_mobile_number_is_understood_as_people_write_it(text: str) -> None:
    assert normalise(text) == numbers.PhoneNumber(e164="+8613812345678", kind=NumberKind.MOBILE)


@pytest.mark.parametrize(
    ("text", "e164", "kind"),
    [
        ("010-88886666", "+861088886666", NumberKind.FIXED),
        ("(021) 6288 8888", "+862162888888", NumberKind.FIXED),
        ("8008123456", "+868008123456", NumberKind.TOLL_FREE),
        ("+1 650-253-0000", "+16502530000", NumberKind.FIXED_OR_MOBILE),
        ("0016502530000", "+16502530000", NumberKind.FIXED_OR_MOBILE),
        ("+44 20 7946 0958", "+442079460958", NumberKind.FIXED),
    ],
)
def test_other_numbers_are_read_and_classified(text: str, e164: str, kind: NumberKind) -> None:
    assert normalise(text) == numbers.PhoneNumber(e164=e164, kind=kind)
    assert kind_of(e164) is kind


@pytest.mark.parametrize(
    ("text", "error_id"),
    [
        ("", "number_empty"), ("  ", "number_empty"), ("'", "number_empty"), ("n/a", "number_invalid"), ("1381234567", "number_invalid"),
        ("138123456789", "number_invalid"), ("13812345678 ext 5", "number_invalid"), ("13812345678,13812345679", "number_invalid"),
        ("1.3812345678E+10", "number_invalid"), ("++8613812345678", "number_invalid"), ("86138+12345678", "number_invalid"), ("٣", "number_invalid"),
        ("110", "number_emergency"), ("120", "number_emergency"), ("119", "number_emergency"), ("4008123456", "number_premium"),
        ("13812345678\r\nAction: Originate", "number_invalid"), ("1" * 5000, "number_invalid"), ("${EXTEN}", "number_invalid"),
    ],
)  # fmt: skip
def test_what_is_not_one_number_that_may_be_dialled_is_refused(text: str, error_id: str) -> None:
    with pytest.raises(BadInput) as refused:
        normalise(text)
    assert refused.value.error_id == error_id


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("13812345678", [("+8613812345678", "")]),
        ("13800138000.0", [("+8613800138000", "")]),
        ("1.3800138000E+10", [("+8613800138000", "")]),
        ("1.3812345678e10", [("+8613812345678", "")]),
        ("010-88886666转801", [("+861088886666", "801")]),
        ("010-88886666 ext. 801", [("+861088886666", "801")]),
        ("（010）88886666－801", [("+861088886666", "801")]),
        ("+1 650-253-0000 x12", [("+16502530000", "12")]),
        ("13812345678/13912345679", [("+8613812345678", ""), ("+8613912345679", "")]),
        ("13812345678 13912345679", [("+8613812345678", ""), ("+8613912345679", "")]),
        ("13812345678；010-88886666-1，13812345678", [("+8613812345678", ""), ("+861088886666", "1")]),
        ("+86 138 1234 5678\n+86 139 1234 5679", [("+8613812345678", ""), ("+8613912345679", "")]),
        ("0571-88886666/0571-88886667", [("+8657188886666", ""), ("+8657188886667", "")]),
    ],
)
def test_a_cell_of_a_list_is_understood_as_people_and_spreadsheets_write_it(
    text: str, found: list[tuple[str, str]]
) -> None:
    assert [(one.e164, one.extension) for one in read_cell(text)] == found


@pytest.mark.parametrize(
    ("text", "error_id"),
    [
        ("1.38E+10", "number_rounded"), ("1.38001E+10", "number_rounded"), ("1.3800138E+10", "number_rounded"), ("13812345678/12", "number_invalid"),
        ("13812345678/110", "number_emergency"), ("13812345678;4008123456", "number_premium"), ("13812345678#", "number_invalid"), ("2024-01-05", "number_invalid"),
        ("13812345678.50", "number_invalid"), ("/", "number_empty"), ("", "number_empty"), ("1" * 5000, "number_invalid"), ("TRUE", "number_invalid"),
        (",".join(f"138000000{n:02}" for n in range(MAX_NUMBERS + 1)), "numbers_too_many"), ("13812345678 ext 1234567", "number_invalid"),
    ],
)  # fmt: skip
def test_a_cell_with_one_part_that_is_no_number_is_refused_whole(text: str, error_id: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_cell(text)
    assert refused.value.error_id == error_id


@given(st.text(max_size=60) | st.text("0123456789+-,;/x转 .eE()", max_size=30))
def test_a_cell_of_a_list_gives_numbers_that_may_be_dialled_or_a_reason(text: str) -> None:
    try:
        found = read_cell(text)
    except BadInput:
        return
    assert 1 <= len(found) <= MAX_NUMBERS
    assert len({one.e164 for one in found}) == len(found)
    for one in found:
        assert re.fullmatch(r"\+[1-9][0-9]{4,14}", one.e164)
        assert read_cell(one.e164)[0].e164 == one.e164


@given(st.text(max_size=60) | st.text("0123456789+- ()０１２３４５６７８９", max_size=20))
@example("1740012345６")
def test_whatever_comes_in_only_e164_comes_out_and_reading_it_again_changes_nothing(text: str) -> None:
    try:
        found = normalise(text)
    except BadInput:
        return
    assert re.fullmatch(r"\+[1-9][0-9]{4,14}", found.e164)
    assert normalise(found.e164) == found
    for number_format in ("e164", "digits", "national"):
        assert re.fullmatch(r"\+?[0-9]+", for_trunk(found.e164, number_format))


@given(st.from_regex(r"1[0-9]{10}", fullmatch=True))
def test_the_short_cut_for_mobile_numbers_says_what_the_library_says(digits: str) -> None:
    try:
        parsed = phonenumbers.parse(digits, "CN")
        mobile = phonenumbers.is_valid_number(parsed) and phonenumbers.number_type(parsed) == PhoneNumberType.MOBILE
    except phonenumbers.NumberParseException:
        parsed, mobile = phonenumbers.PhoneNumber(), False
    plain = numbers._plain_mobile("CN")
    assert plain is not None
    assert bool(plain[0].fullmatch(digits)) == mobile
    if mobile:
        assert (
            normalise(digits).e164
            == phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
            == "+86" + digits
        )


@pytest.mark.parametrize(
    ("number_format", "home", "abroad"),
    [
        ("e164", "+861088886666", "+16502530000"),
        ("digits", "861088886666", "16502530000"),
        ("national", "01088886666", "0016502530000"),
    ],
)
def test_a_trunk_gets_numbers_in_its_own_form(number_format: str, home: str, abroad: str) -> None:
    assert (for_trunk("+861088886666", number_format), for_trunk("+16502530000", number_format)) == (home, abroad)


@pytest.mark.parametrize(
    "number", ["13812345678", "+", "", "+8613812345678\r\n", "+86138@evil", "+86138&PJSIP/1", "+０"]
)
def test_nothing_but_a_number_goes_to_a_trunk(number: str) -> None:
    with pytest.raises(BadInput):
        for_trunk(number, "digits")
    with pytest.raises(BadInput):
        for_trunk("+8613812345678", "sip:%s")


@given(st.from_regex(r"\+[1-9][0-9]{4,14}", fullmatch=True))
def test_a_masked_number_cannot_be_dialled(number: str) -> None:
    masked = mask(number)
    assert "****" in masked
    assert sum(character.isdigit() for character in masked) <= len(number) - 1 - 4 or len(number) < 7
    assert masked.endswith(number[-2:])
