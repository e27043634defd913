"""The actions we ask of Asterisk. Each function gives an `Action`; `AmiClient.send` or `.fetch` performs it.

`send(action)` gives the one Response; `fetch(action)` is for the actions marked *list* and gives all their events.
Channels may be named by channel name or by our channel id (`call-…`, `seat-…`): Asterisk takes both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from dialer.asterisk.ami.text import sip_header_line, variable_line, variable_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What to ask. Line breaks are refused when the bytes are made; `repr` keeps secrets and telephone numbers to itself."""

    name: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    empty_list_message: str = ""
    """The `Response: Error` message by which this list action says "there is nothing to list"."""


def _action(name: str, *, empty: str = "", **headers: str | None) -> Action:
    kept = tuple((key, value) for key, value in headers.items() if value is not None)
    return Action(name=name, headers=kept, empty_list_message=empty)


# --- the session ---


def challenge() -> Action:
    """Ask for the challenge of an MD5 login."""
    return _action("Challenge", AuthType="MD5")


def login_with_challenge(user: str, secret: str, answer_to: str) -> Action:
    """Log in without sending the secret. MD5 is what AMI has; the socket belongs on a trusted network."""
    key = hashlib.md5((answer_to + secret).encode(), usedforsecurity=False).hexdigest()
    return _action("Login", AuthType="MD5", Username=user, Key=key)


def login_with_secret(user: str, secret: str) -> Action:
    """Log in with the secret in clear."""
    return _action("Login", Username=user, Secret=secret)


def logoff() -> Action:
    """End the session."""
    return _action("Logoff")


def ping() -> Action:
    """Are you alive."""
    return _action("Ping")


def core_settings() -> Action:
    """`AsteriskVersion`, `AMIversion`, `SystemName`, limits (read right: system or reporting)."""
    return _action("CoreSettings")


def core_status() -> Action:
    """`CoreStartupDate`, `CoreStartupTime` (a change means Asterisk was restarted), `CoreCurrentCalls`."""
    return _action("CoreStatus")


def command(line: str) -> Action:
    """A CLI command; its lines are `response.output`. Needs the right `command`: only for doctor and tests, never with outside text."""
    return _action("Command", Command=line)


# --- calls ---


def originate(
    *,
    channel: str,
    channel_id: str,
    context: str,
    exten: str = "s",
    priority: int = 1,
    ring_timeout_s: float,
    caller_id: str,
    variables: Mapping[str, str],
    early_media: bool = False,
    codecs: str | None = None,
    other_channel_id: str | None = None,
    sip_headers: Mapping[str, str] | None = None,
) -> Action:
    """Place a call with our own channel id; asynchronous: the Response says "queued", the `OriginateResponse` event how it went.

    `channel` from `text.pjsip_number` or `text.pjsip_endpoint`, `caller_id` from `text.caller_id`. `variables` reach the channel
    exactly as given, unevaluated; `sip_headers` go into the INVITE (`text.SIP_HEADERS`). Two Originates with one channel id: the second fails in Asterisk (that is the last guard).
    Errors: UnsafeText for a name that is not a plain variable, and for another header or value.
    """
    headers = [
        ("Channel", channel),
        ("ChannelId", channel_id),
        ("Context", context),
        ("Exten", exten),
        ("Priority", str(priority)),
        ("Timeout", str(round(ring_timeout_s * 1000))),
        ("CallerID", caller_id),
        ("Async", "true"),
        ("EarlyMedia", "true" if early_media else "false"),
    ]
    if other_channel_id is not None:
        headers.append(("OtherChannelId", other_channel_id))
    if codecs is not None:
        headers.append(("Codecs", codecs))
    headers += [("Variable", variable_line(name, value)) for name, value in variables.items()]
    headers += [("Variable", sip_header_line(name, value)) for name, value in (sip_headers or {}).items()]
    return Action(name="Originate", headers=tuple(headers))


def hangup(channel: str, cause: int = 16) -> Action:
    """End a channel. ActionFailed "No such channel" means it is gone already."""
    return _action("Hangup", Channel=channel, Cause=str(cause))


def absolute_timeout(channel: str, seconds: float) -> Action:
    """End a channel after so many seconds, more than 0; one that runs in the dialplan goes to `T` of its context, where there is one."""
    return _action("AbsoluteTimeout", Channel=channel, Timeout=f"{seconds:.3f}")


def redirect(channel: str, *, context: str, exten: str = "s", priority: int | str = 1) -> Action:
    """Send a channel elsewhere in the dialplan; a bridged one leaves its bridge. `priority` may be a label."""
    return _action("Redirect", Channel=channel, Context=context, Exten=exten, Priority=str(priority))


def redirect_both(
    channel: str, extra_channel: str, *, context: str, exten: str, extra_context: str, extra_exten: str
) -> Action:
    """Send the two sides of a bridge to two places in one step, so that neither hears the other leave."""
    return _action(
        "Redirect",
        Channel=channel,
        ExtraChannel=extra_channel,
        Context=context,
        Exten=exten,
        Priority="1",
        ExtraContext=extra_context,
        ExtraExten=extra_exten,
        ExtraPriority="1",
    )


def bridge(channel: str, other_channel: str, *, tone: bool = False) -> Action:
    """Bridge two channels that run in the dialplan. The dialplan's own Bridge() is the usual way; this one is for repairs."""
    return _action("Bridge", Channel1=channel, Channel2=other_channel, Tone="both" if tone else "no")


def get_variable(channel: str | None, name: str) -> Action:
    """`response.get("Value")`, of which Asterisk gives the first 1,023 bytes; with channel None a global variable."""
    return _action("Getvar", Channel=channel, Variable=name)


def set_variable(channel: str | None, name: str, value: str) -> Action:
    """Set a channel (or global) variable literally; leading blanks are lost on the way. Errors: UnsafeText for the name."""
    return _action("Setvar", Channel=channel, Variable=variable_name(name), Value=value)


def mute_recording(channel: str, *, muted: bool, recording: str | None = None) -> Action:
    """Write silence into both legs of a recording (card numbers are being said) or stop doing so; the time axis goes on.

    `recording`: the id MixMonitor gave (its option `i`), and ActionFailed when it does not run; None: whatever records the channel, maybe nothing.
    """
    return _action(
        "MixMonitorMute", Channel=channel, Direction="both", State="1" if muted else "0", MixMonitorID=recording
    )


def user_event(name: str, headers: Mapping[str, str]) -> Action:
    """Raise a UserEvent from our side (marks in the stream of events)."""
    return Action(name="UserEvent", headers=(("UserEvent", name), *headers.items()))


# --- what is there (lists) ---


def core_show_channels() -> Action:
    """*list* of `CoreShowChannel`: every channel with Uniqueid, ChannelStateDesc, Context, Duration, BridgeId."""
    return _action("CoreShowChannels")


def status(channel: str | None = None, *, variables: tuple[str, ...] = ()) -> Action:
    """*list* of `Status`: like CoreShowChannels with seconds and, per asked name, `Variable: NAME=value`."""
    asked = ",".join(variable_name(name) for name in variables) if variables else None
    return _action("Status", Channel=channel, Variables=asked)


def pjsip_show_contacts() -> Action:
    """*list* of `ContactList`: AOR (`Aor`), URI and status of every registered device."""
    return _action("PJSIPShowContacts", empty="No Contacts found")


def pjsip_show_endpoints() -> Action:
    """*list* of `EndpointList`: `ObjectName`, `DeviceState`, `ActiveChannels`."""
    return _action("PJSIPShowEndpoints", empty="No endpoints found")


# --- Asterisk's own database, modules ---


def db_put(family: str, key: str, value: str) -> Action:
    """Write one entry of astdb (right: system). Leading blanks of `value` are lost on the way."""
    return _action("DBPut", Family=family, Key=key, Val=value)


def db_get(family: str, key: str) -> Action:
    """*list* with one `DBGetResponse` (`Val`), or none."""
    return _action("DBGet", empty="Database entry not found", Family=family, Key=key)


def db_del(family: str, key: str) -> Action:
    """Delete one entry. ActionFailed when it was not there."""
    return _action("DBDel", Family=family, Key=key)


def db_del_tree(family: str, key: str | None = None) -> Action:
    """Delete a family or the keys below `key`. ActionFailed when nothing was there."""
    return _action("DBDelTree", Family=family, Key=key)


def module_load(module: str, load_type: str = "load") -> Action:
    """`load_type`: load, unload or reload (right: system)."""
    return _action("ModuleLoad", Module=module, LoadType=load_type)


def module_check(module: str) -> Action:
    """ActionFailed when `module` is not loaded."""
    return _action("ModuleCheck", Module=module.removesuffix(".so"))


def reload(module: str | None = None) -> Action:
    """Read the configuration of one module, or of all, again."""
    return _action("Reload", Module=module)
