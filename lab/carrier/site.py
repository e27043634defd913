"""The part of the fake carrier's configuration that differs from place to place, as text: the counterpart of dialer/asterisk/site.py."""

from __future__ import annotations

from dataclasses import dataclass

from dialer.asterisk.site import TrunkSettings
from lab.carrier.behaviour import RING_S, TALK_S

LATE_ANSWER_S = 40.0
UNANSWERED_S = 60.0
ANNOUNCEMENT_S = 6.0
GREETING_S = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierSite:
    """Ports are UDP and TCP numbers; `rtp_ports` is (first, last), both used.

    trunk: the same settings the node reaches us with; without a username we know it by its address.
    time_scale: shortens every ring, talk and announcement; 1 is real time.
    """

    sip_host: str
    sip_port: int
    rtp_ports: tuple[int, int]
    trunk: TrunkSettings
    node_host: str = "127.0.0.1"
    node_sip_port: int = 5060
    time_scale: float = 1.0


def render_carrier_site(site: CarrierSite) -> dict[str, str]:
    """The files of `<carrier's conf>/site/`: name → text."""
    return {
        "globals.conf": _globals(site),
        "pjsip.conf": _pjsip(site),
        "rtp.conf": f"rtpstart = {site.rtp_ports[0]}\nrtpend = {site.rtp_ports[1]}\n",
    }


def _globals(site: CarrierSite) -> str:
    seconds: dict[str, float] = {f"RING_{code}": value for code, value in enumerate(RING_S)}
    seconds |= {f"TALK_{code}": value for code, value in enumerate(TALK_S)}
    seconds |= {
        "LATE_S": LATE_ANSWER_S,
        "UNANSWERED_S": UNANSWERED_S,
        "ANNOUNCEMENT_S": ANNOUNCEMENT_S,
        "GREETING_S": GREETING_S,
    }
    rows = [f"{name} = {value * site.time_scale:.3f}" for name, value in seconds.items()]
    return "\n".join([*rows, "VOICES = /var/lib/asterisk/voices"]) + "\n"


def _pjsip(site: CarrierSite) -> str:
    trunk = site.trunk
    endpoint = [
        "[dialer](dialer-template)",
        "aors = dialer",
        f"outbound_auth = {trunk.name}-calls",
        f"from_user = {trunk.name}",
    ]
    blocks = [
        f"[transport-udp]\ntype = transport\nprotocol = udp\nbind = {site.sip_host}:{site.sip_port}",
        f"[transport-tcp]\ntype = transport\nprotocol = tcp\nbind = {site.sip_host}:{site.sip_port}",
        f"[dialer]\ntype = aor\ncontact = sip:{site.node_host}:{site.node_sip_port}",
        _credentials(f"{trunk.name}-calls", trunk.name, trunk.inbound_password),
    ]
    if trunk.username is not None:
        blocks.append(_credentials("dialer-auth", trunk.username, trunk.password))
        endpoint += ["identify_by = auth_username", "auth = dialer-auth"]
    else:
        endpoint.append("identify_by = ip")
        blocks.append(f"[dialer-address]\ntype = identify\nendpoint = dialer\nmatch = {site.node_host}")
    return "\n\n".join(["\n".join(endpoint), *blocks]) + "\n"


def _credentials(name: str, username: str | None, password: str | None) -> str:
    return f"[{name}]\ntype = auth\nauth_type = userpass\nusername = {username}\npassword = {password}"
