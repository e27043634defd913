"""The rendered part of the Asterisk configuration: what goes in comes out, and nothing becomes syntax."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.asterisk.site import SiteSettingError, SiteSettings, TrunkSettings, render_site


def a_trunk(**changes: Any) -> TrunkSettings:
    return replace(
        TrunkSettings(name="carrier", host="sip.example.net", username="dialer", password="secret-pass"), **changes
    )


def a_site(**changes: Any) -> SiteSettings:
    base = SiteSettings(
        ami_port=5038,
        ami_secret="long-secret-1",
        agi_port=4573,
        sip_port=5060,
        http_port=8088,
        rtp_ports=(10_000, 20_000),
    )
    return replace(base, **changes)


def test_every_file_that_the_static_part_includes_is_rendered() -> None:
    assert set(render_site(a_site())) == {"globals.conf", "pjsip.conf", "manager.conf", "http.conf", "rtp.conf"}


def test_ports_and_secrets_reach_their_files() -> None:
    files = render_site(a_site())
    assert "port = 5038" in files["manager.conf"]
    assert "secret = long-secret-1" in files["manager.conf"]
    assert "WAIHU_AGI = agi://127.0.0.1:4573" in files["globals.conf"]
    assert "rtpstart = 10000\nrtpend = 20000" in files["rtp.conf"]


def test_trunk_has_endpoint_aor_and_credentials() -> None:
    text = render_site(
        a_site(trunks=(a_trunk(register=True, addresses=("203.0.113.0/24",), inbound_password="their-secret"),))
    )["pjsip.conf"]
    for line in (
        "[carrier](waihu-trunk)",
        "[carrier](waihu-trunk-aor)",
        "contact = sip:sip.example.net:5060",
        "password = secret-pass",
        "password = their-secret",
        "match = 203.0.113.0/24",
        "client_uri = sip:dialer@sip.example.net:5060",
    ):
        assert line in text.splitlines()


def test_secrets_are_not_shown_by_errors() -> None:
    with pytest.raises(SiteSettingError) as caught:
        render_site(a_site(trunks=(a_trunk(password="my;secret"),)))
    assert "my;secret" not in str(caught.value)
    assert caught.value.error_id == "asterisk.site_setting"


@pytest.mark.parametrize(
    "changes",
    [
        {"ami_port": 0},
        {"sip_port": 65_536},
        {"rtp_ports": (10_001, 20_000)},
        {"rtp_ports": (20_000, 10_000)},
        {"ami_secret": "short"},
        {"agi_host": "host;name"},
        {"sip_bind": "example.net"},
        {"external_address": "1.2.3"},
        {"ami_permit": ("anything",)},
        {"prompts_dir": "relative"},
        {"guard_ms": -1},
        {"trunks": (a_trunk(), a_trunk())},
        {"trunks": (a_trunk(name="Carrier"),)},
        {"trunks": (a_trunk(name="global"),)},
        {"trunks": (a_trunk(name="transport-udp"),)},
        {"trunks": (a_trunk(password=None),)},
        {"trunks": (a_trunk(username=None, password=None, register=True),)},
        {"trunks": (a_trunk(addresses=("example.net",)),)},
    ],
)
def test_setting_that_cannot_be_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(SiteSettingError):
        render_site(a_site(**changes))


_TEXT_SETTINGS = sorted(
    field.name
    for field in fields(SiteSettings)
    if isinstance(getattr(a_site(), field.name), str) or field.name == "external_address"
)
_TRUNK_TEXTS = ("name", "host", "username", "password", "inbound_password")


@given(st.sampled_from(_TEXT_SETTINGS), st.text(max_size=60))
def test_no_text_in_a_setting_becomes_another_line(name: str, text: str) -> None:
    assert_same_shape(
        a_site(**{name: text}), a_site(external_address="192.0.2.1" if name == "external_address" else None)
    )


@given(st.sampled_from(_TRUNK_TEXTS), st.text(max_size=60))
def test_no_text_in_a_trunk_becomes_another_line(name: str, text: str) -> None:
    trunk = a_trunk(inbound_password="their-secret")
    assert_same_shape(
        a_site(trunks=(a_trunk(**{"inbound_password": "their-secret", name: text}),)), a_site(trunks=(trunk,))
    )


def assert_same_shape(site: SiteSettings, plain: SiteSettings) -> None:
    try:
        files = render_site(site)
    except SiteSettingError:
        return
    for name, text in render_site(plain).items():
        assert shape(files[name]) == shape(text)


def shape(text: str) -> list[str]:
    return [re.sub(r"\[[^\]]*\]", "[]", line).partition(" = ")[0] for line in text.splitlines()]
