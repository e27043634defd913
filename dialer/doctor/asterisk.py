"""Asterisk: reached, new enough, with the rights and modules calls need, and knowing where to ask us."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from dialer.asterisk.ami import actions
from dialer.asterisk.ami.connection import AmiConfig, AmiConnection
from dialer.asterisk.ami.errors import ActionFailed, AmiError, UnsupportedAsterisk
from dialer.asterisk.ami.message import Event
from dialer.doctor.finding import Finding, fault, ok, warning
from dialer.settings import Settings

NEEDED_ACTIONS = (
    "Originate",
    "Hangup",
    "AbsoluteTimeout",
    "Redirect",
    "Getvar",
    "Setvar",
    "Status",
    "CoreShowChannels",
    "CoreSettings",
)
TOO_POWERFUL_ACTIONS = ("Command", "ModuleLoad", "UpdateConfig", "DBPut")
# What a call cannot do without; asterisk-conf/modules.conf loads them all.
NEEDED_MODULES = {
    "res_agi": "questions to the engine",
    "app_mixmonitor": "recording",
    "app_playback": "the safe-harbour message",
    "app_read": "keys pressed in surveys",
    "app_userevent": "reports of the dialplan",
    "bridge_simple": "bridging",
    "chan_pjsip": "SIP",
    "res_pjsip_session": "SIP calls",
    "res_pjsip_registrar": "agents' registration",
    "res_sorcery_astdb": "agents' devices",
    "res_rtp_asterisk": "sound",
    "res_musiconhold": "music on hold",
    "codec_alaw": "G.711 A-law",
    "codec_ulaw": "G.711 mu-law",
    "format_wav": "recorded legs",
    "cdr_custom": "call records",
}


@asynccontextmanager
async def session(settings: Settings) -> AsyncIterator[AmiConnection]:
    """A manager session of the doctor's own; its events are not wanted."""

    def ignore(event: Event) -> None:
        del event

    connection = await AmiConnection.open(
        AmiConfig(
            host=settings.ami_host,
            port=settings.ami_port,
            user=settings.ami_user,
            secret=settings.ami_secret.get_secret_value(),
            name=settings.node,
        ),
        ignore,
    )
    try:
        yield connection
    finally:
        await connection.close()


async def variable(connection: AmiConnection, name: str) -> str | None:
    """A global variable or a dialplan function's value; None where Asterisk refuses to say."""
    try:
        answer = await connection.perform(actions.get_variable(None, name))
    except ActionFailed:
        return None
    return answer.response.get("Value") or ""


async def manager(settings: Settings) -> list[Finding]:
    """Login, version, rights and modules."""
    try:
        async with session(settings) as connection:
            findings = [
                ok("asterisk", f"Asterisk {connection.asterisk_version} at {settings.ami_host}:{settings.ami_port}")
            ]
            listed = await connection.perform(actions.Action(name="ListCommands"))
            findings += judge_rights(dict(listed.response.headers()), settings.ami_user)
            findings += await _modules(connection)
    except UnsupportedAsterisk as error:
        return [fault("asterisk", error.message, "Install Asterisk 22.8 or newer: older ones damage recordings.")]
    except AmiError as error:
        return [
            fault(
                "asterisk",
                error.message,
                "Start Asterisk; check WAIHU_AMI_HOST, WAIHU_AMI_PORT, WAIHU_AMI_USER, WAIHU_AMI_SECRET and the permit lines of manager.conf.",
            )
        ]
    return findings


def judge_rights(allowed: Mapping[str, str], user: str) -> list[Finding]:
    """`allowed` has the names of the actions that the manager user may perform."""
    missing = [name for name in NEEDED_ACTIONS if name not in allowed]
    surplus = [name for name in TOO_POWERFUL_ACTIONS if name in allowed]
    if missing:
        return [
            fault(
                "ami rights",
                f"user {user} may not {', '.join(missing)}",
                "Give it the template waihu-rights of asterisk-conf/manager.conf, then manager reload.",
            )
        ]
    if surplus:
        return [
            warning(
                "ami rights",
                f"user {user} may also {', '.join(surplus)}",
                "Take these rights away (asterisk-conf/manager.conf): who gets into the engine should not own Asterisk.",
            )
        ]
    return [ok("ami rights", f"user {user} may what the engine needs, and nothing dangerous")]


async def _modules(connection: AmiConnection) -> list[Finding]:
    # IFMODULE, because ModuleCheck wants the right `system`, which would also load modules.
    states = {module: await variable(connection, f"IFMODULE({module}.so)") for module in NEEDED_MODULES}
    if all(state in {None, ""} for state in states.values()):
        return [
            warning(
                "modules",
                "Asterisk does not say which modules are loaded",
                "Load func_module.so (asterisk-conf/modules.conf).",
            )
        ]
    missing = [module for module, state in states.items() if state != "1"]
    if missing:
        return [
            fault(
                "modules",
                f"not loaded: {', '.join(f'{module} ({NEEDED_MODULES[module]})' for module in missing)}",
                "Add them to modules.conf (asterisk-conf/modules.conf has them all) and restart Asterisk.",
            )
        ]
    return [ok("modules", f"all {len(states)} that calls need are loaded")]


async def agi_route(settings: Settings) -> list[Finding]:
    """The dialplan asks at the address where this engine answers."""
    try:
        async with session(settings) as connection:
            url = await variable(connection, "WAIHU_AGI")
    except AmiError:
        return [fault("agi", "not examined: Asterisk is not reached", "See the finding for asterisk.")]
    return [judge_agi(url, settings)]


def judge_agi(url: str | None, settings: Settings) -> Finding:
    """`url` is the dialplan's WAIHU_AGI, like agi://127.0.0.1:4573."""
    cure = "Render the site files again (waihu asterisk configure) and reload the dialplan, or correct WAIHU_AGI_HOST and WAIHU_AGI_PORT."
    if not url:
        return fault(
            "agi",
            "the dialplan has no WAIHU_AGI",
            "Install asterisk-conf/ with its site files: waihu asterisk configure.",
        )
    port = url.rpartition(":")[2].partition("/")[0]
    host = url.removeprefix("agi://").partition(":")[0]
    if port != str(settings.agi_port):
        return fault("agi", f"the dialplan asks {url}, the engine answers on port {settings.agi_port}", cure)
    if settings.agi_host not in {"0.0.0.0", "::", host}:  # read, not bound
        return warning("agi", f"the dialplan asks {url}, the engine listens on {settings.agi_host} only", cure)
    return ok("agi", f"the dialplan asks {url}")
