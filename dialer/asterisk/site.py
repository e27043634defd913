"""The part of the Asterisk configuration that differs from place to place, as text.

`asterisk-conf/` is the same everywhere; addresses, ports, secrets and trunks are rendered here into the files of
`asterisk-conf/site/`. Pure: settings in, texts out. A value that could be read as configuration syntax (a line end, a
comment sign, a section) is refused with `SiteSettingError`, never quoted, because Asterisk's own quoting is not uniform.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from dialer.domain.errors import BadRequest

_NAME = re.compile(r"[a-z][a-z0-9-]{0,38}\Z")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\Z")
_SECRET = re.compile(r"[!#-:<-\[\]-~]{8,128}\Z")  # printable ASCII without space, " ; and backslash
_USER = re.compile(r"[A-Za-z0-9._+@-]{1,64}\Z")
_PATH = re.compile(r"/[A-Za-z0-9._/-]{0,200}\Z")
_PLAYBACK = re.compile(r"[A-Za-z0-9._/&-]{1,200}\Z")
_RESERVED_TRUNK_NAMES = frozenset({"global", "system", "general", "transport-udp", "transport-tcp", "transport-ws"})


class SiteSettingError(BadRequest):
    """A site setting cannot be written into an Asterisk configuration file.

    The message names the setting and says what it may hold; it never repeats a secret.
    """

    def __init__(self, message: str) -> None:
        super().__init__("asterisk.site_setting", message)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkSettings:
    """A carrier: where calls go, and how each side proves who it is.

    name: the PJSIP endpoint, `PJSIP/<number>@<name>`.
    username, password: what we answer the carrier's challenge with; both or neither.
    inbound_password: what the carrier answers our challenge with, as user `<name>`; without it, nobody is accepted as
        this trunk except from `addresses`.
    addresses: IP addresses or networks of the carrier that are this trunk without a password.
    register: send REGISTER, for carriers that want it.
    qualify_s: how often the trunk is asked whether it lives; 0 never.
    """

    name: str
    host: str
    port: int = 5060
    username: str | None = None
    password: str | None = None
    inbound_password: str | None = None
    addresses: tuple[str, ...] = ()
    register: bool = False
    qualify_s: int = 30
    tcp: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSettings:
    """Everything that `asterisk-conf/site/` holds. Ports are TCP or UDP numbers; `rtp_ports` is (first, last), both used.

    external_address: our public address when Asterisk is behind an address translator; `local_networks` are not translated.
    seat_rtp_timeout_s: an agent's softphone that sends no sound for so long has vanished.
    guard_ms: added to a call's waiting time before the dialplan gives up on the engine.
    """

    ami_port: int
    ami_secret: str
    agi_port: int
    sip_port: int
    http_port: int
    rtp_ports: tuple[int, int]
    trunks: tuple[TrunkSettings, ...] = ()
    ami_user: str = "waihu"
    ami_bind: str = "127.0.0.1"
    ami_permit: tuple[str, ...] = ("127.0.0.1/32",)
    agi_host: str = "127.0.0.1"
    sip_bind: str = "0.0.0.0"
    http_bind: str = "127.0.0.1"
    external_address: str | None = None
    local_networks: tuple[str, ...] = ()
    prompts_dir: str = "/var/lib/asterisk/prompts"
    safe_harbour_default: str = "im-sorry&please-try-call-later&goodbye"
    safe_harbour_limit_s: int = 60
    survey_step_limit_s: int = 180
    wait_default_ms: int = 2000
    guard_ms: int = 1000
    hold_limit_s: int = 900
    seat_rtp_timeout_s: int = 30
    seat_qualify_s: int = 30


def render_site(settings: SiteSettings) -> dict[str, str]:
    """The files of `asterisk-conf/site/`: name → text. Raises SiteSettingError before anything is rendered."""
    _check(settings)
    return {
        "globals.conf": _globals(settings),
        "pjsip.conf": _pjsip(settings),
        "manager.conf": _manager(settings),
        "http.conf": _lines("", f"enabled = yes\nbindaddr = {settings.http_bind}\nbindport = {settings.http_port}"),
        "rtp.conf": _lines("", f"rtpstart = {settings.rtp_ports[0]}\nrtpend = {settings.rtp_ports[1]}"),
    }


def _lines(*blocks: str) -> str:
    head = "; Written by `waihu asterisk configure`; changes made here are lost."
    return "\n\n".join([head, *(block for block in blocks if block)]) + "\n"


def _globals(settings: SiteSettings) -> str:
    return _lines(
        "\n".join(
            (
                f"WAIHU_AGI = agi://{settings.agi_host}:{settings.agi_port}",
                f"WAIHU_WAIT_DEFAULT_MS = {settings.wait_default_ms}",
                f"WAIHU_GUARD_MS = {settings.guard_ms}",
                f"WAIHU_HOLD_LIMIT_S = {settings.hold_limit_s}",
                f"WAIHU_PROMPTS = {settings.prompts_dir}",
                f"WAIHU_SAFE_HARBOUR_DEFAULT = {settings.safe_harbour_default}",
                f"WAIHU_SAFE_HARBOUR_LIMIT_S = {settings.safe_harbour_limit_s}",
                f"WAIHU_SURVEY_STEP_LIMIT_S = {settings.survey_step_limit_s}",
                "WAIHU_SEAT_WAIT_S = 3600",
                f"WAIHU_SEAT_RTP_TIMEOUT_S = {settings.seat_rtp_timeout_s}",
                f"WAIHU_SEAT_QUALIFY_S = {settings.seat_qualify_s}",
            )
        )
    )


def _manager(settings: SiteSettings) -> str:
    permits = "\n".join(f"permit = {network}" for network in settings.ami_permit)
    return _lines(
        f"[general](+)\nbindaddr = {settings.ami_bind}\nport = {settings.ami_port}",
        f"[{settings.ami_user}](waihu-rights)\nsecret = {settings.ami_secret}\n{permits}",
    )


def _pjsip(settings: SiteSettings) -> str:
    return _lines(
        _transport(settings, "udp"),
        _transport(settings, "tcp"),
        "[transport-ws]\ntype = transport\nprotocol = ws\nbind = 0.0.0.0",
        *(_trunk(trunk) for trunk in settings.trunks),
    )


def _transport(settings: SiteSettings, protocol: str) -> str:
    rows = [
        f"[transport-{protocol}]",
        "type = transport",
        f"protocol = {protocol}",
        f"bind = {settings.sip_bind}:{settings.sip_port}",
    ]
    if settings.external_address is not None:
        rows += [
            f"external_signaling_address = {settings.external_address}",
            f"external_media_address = {settings.external_address}",
            *(f"local_net = {network}" for network in settings.local_networks),
        ]
    return "\n".join(rows)


def _trunk(trunk: TrunkSettings) -> str:
    transport = "tcp" if trunk.tcp else "udp"
    uri = f"sip:{trunk.host}:{trunk.port}" + (r"\;transport=tcp" if trunk.tcp else "")
    endpoint = [f"[{trunk.name}](waihu-trunk)", f"transport = transport-{transport}", f"aors = {trunk.name}"]
    blocks = []
    if trunk.username is not None:
        endpoint += [f"outbound_auth = {trunk.name}-out", f"from_domain = {trunk.host}"]
        blocks.append(
            f"[{trunk.name}-out]\ntype = auth\nauth_type = userpass\nusername = {trunk.username}\npassword = {trunk.password}"
        )
    if trunk.inbound_password is not None:
        endpoint += [f"auth = {trunk.name}-in", "identify_by = auth_username,username,ip"]
        blocks.append(
            f"[{trunk.name}-in]\ntype = auth\nauth_type = userpass\nusername = {trunk.name}\n"
            f"password = {trunk.inbound_password}"
        )
    else:
        endpoint.append("identify_by = ip")
    if trunk.addresses:
        matches = "\n".join(f"match = {address}" for address in trunk.addresses)
        blocks.append(f"[{trunk.name}-address]\ntype = identify\nendpoint = {trunk.name}\n{matches}")
    if trunk.register:
        blocks.append(
            f"[{trunk.name}-register]\ntype = registration\noutbound_auth = {trunk.name}-out\n"
            f"transport = transport-{transport}\nserver_uri = {uri}\n"
            f"client_uri = sip:{trunk.username}@{trunk.host}:{trunk.port}\nretry_interval = 20\nexpiration = 600\n"
            f"max_retries = 1000000\nauth_rejection_permanent = no\nendpoint = {trunk.name}"
        )
    aor = f"[{trunk.name}](waihu-trunk-aor)\ncontact = {uri}\nqualify_frequency = {trunk.qualify_s}"
    return "\n\n".join(["\n".join(endpoint), aor, *blocks])


def _check(settings: SiteSettings) -> None:
    for name in ("ami_port", "agi_port", "sip_port", "http_port"):
        _check_port(name, getattr(settings, name))
    first, last = settings.rtp_ports
    _check_port("rtp_ports", first)
    _check_port("rtp_ports", last)
    if first % 2 or last - first < 3:
        raise SiteSettingError("rtp_ports must begin with an even port and hold at least four ports")
    for name in (
        "wait_default_ms",
        "guard_ms",
        "hold_limit_s",
        "safe_harbour_limit_s",
        "survey_step_limit_s",
        "seat_rtp_timeout_s",
        "seat_qualify_s",
    ):
        value = getattr(settings, name)
        if not 0 <= value <= 86_400_000:
            raise SiteSettingError(f"{name} must be a whole number, not negative")
    for name in ("ami_bind", "sip_bind", "http_bind"):
        _check_address(name, getattr(settings, name))
    if settings.external_address is not None:
        _check_address("external_address", settings.external_address)
    for name in ("ami_permit", "local_networks"):
        for network in getattr(settings, name):
            _check_network(name, network)
    _match("agi_host", settings.agi_host, _HOST, "a host name or an IPv4 address")
    _match("ami_user", settings.ami_user, _NAME, "a lower-case name (a-z, 0-9, -)")
    _match("ami_secret", settings.ami_secret, _SECRET, _SECRET_WORDS, secret=True)
    _match("prompts_dir", settings.prompts_dir, _PATH, "an absolute path of letters, digits and . _ - /")
    _match("safe_harbour_default", settings.safe_harbour_default, _PLAYBACK, "prompt names joined by &")
    names = [trunk.name for trunk in settings.trunks]
    if len(set(names)) != len(names):
        raise SiteSettingError("two trunks have the same name; give each its own")
    for trunk in settings.trunks:
        _check_trunk(trunk)


_SECRET_WORDS = "8 to 128 printable ASCII characters without spaces, double quotes, semicolons and backslashes"  # noqa: S105


def _check_trunk(trunk: TrunkSettings) -> None:
    _match("trunk name", trunk.name, _NAME, "a lower-case name (a-z, 0-9, -), at most 39 characters")
    if trunk.name in _RESERVED_TRUNK_NAMES or trunk.name.startswith("waihu-"):
        raise SiteSettingError(f"trunk name {trunk.name} is taken by Asterisk or by us; choose another")
    where = f"trunk {trunk.name}: "
    _match(where + "host", trunk.host, _HOST, "a host name or an IPv4 address")
    _check_port(where + "port", trunk.port)
    if (trunk.username is None) != (trunk.password is None):
        raise SiteSettingError(where + "username and password belong together: set both or neither")
    if trunk.register and trunk.username is None:
        raise SiteSettingError(where + "registering needs a username and a password")
    if trunk.username is not None:
        _match(where + "username", trunk.username, _USER, "letters, digits and . _ + @ -")
    for name in ("password", "inbound_password"):
        value = getattr(trunk, name)
        if value is not None:
            _match(where + name, value, _SECRET, _SECRET_WORDS, secret=True)
    for address in trunk.addresses:
        _check_network(where + "addresses", address)
    if not 0 <= trunk.qualify_s <= 86_400:
        raise SiteSettingError(where + "qualify_s must be between 0 and 86400")


def _match(name: str, value: str, pattern: re.Pattern[str], words: str, *, secret: bool = False) -> None:
    if pattern.match(value) is None:
        shown = "" if secret else f", not {value!r}"
        raise SiteSettingError(f"{name} must be {words}{shown}")


def _check_port(name: str, value: int) -> None:
    if not 1 <= value <= 65_535:
        raise SiteSettingError(f"{name} must be a port between 1 and 65535, not {value!r}")


def _check_address(name: str, value: str) -> None:
    try:
        ipaddress.IPv4Address(value)
    except ValueError as error:
        raise SiteSettingError(f"{name} must be an IPv4 address, not {value!r}") from error


def _check_network(name: str, value: str) -> None:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError as error:
        raise SiteSettingError(f"{name} must hold IP addresses or networks, not {value!r}") from error
