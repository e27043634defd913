"""Text from outside, made harmless before Asterisk reads it.

What Asterisk does with the values we send (measured on 22.10, and kept true by the contract tests):
- `Variable:` lines of Originate are split at commas, and quotes, brackets and backslashes are eaten: `variable_line` escapes them.
- `Value:` of Setvar and the values of DBPut are taken as they are, except that leading blanks are dropped.
- No value is evaluated: `${...}` and `$[...]` in a value stay text, and stay text when the dialplan writes `${NAME}`, because
  substitution is done once. They would be evaluated by EVAL(), and a comma inside becomes an argument separator where the dialplan
  pastes `${NAME}` into an application's arguments: the dialplan must not do that with text from outside.
- A CR or LF would start another header; those are refused by the encoder, whatever was done here.
"""

from __future__ import annotations

import re

from dialer.asterisk.ami.errors import UnsafeText

_SPECIAL = re.compile(r'([\\",()\[\]])')
_VARIABLE_NAME = re.compile(r"_{0,2}[A-Za-z][A-Za-z0-9_]{0,78}")
_NUMBER = re.compile(r"\+?[0-9*#]{1,32}")
_NAME_OF_ENDPOINT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_CALLER_NAME_DROPS = re.compile(r'[\x00-\x1f\x7f"<>\\]')

MAX_CALLER_NAME = 60
_ADDRESS = r"<(?:tel:\+[0-9]{5,15}|sip:\+?[0-9]{3,24}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)>"
SIP_HEADERS = {
    "P-Asserted-Identity": re.compile(_ADDRESS),
    "Diversion": re.compile(_ADDRESS + r";reason=unconditional"),
    "Privacy": re.compile("id"),
}
"""What a call may say of who calls, beside From: name → the only values. None of them holds what an Originate splits or eats."""


def variable_name(name: str) -> str:
    """`name` if it is a plain channel variable (letters, digits, `_`; `_` and `__` in front inherit), never a function.

    Errors: UnsafeText.
    """
    if not _VARIABLE_NAME.fullmatch(name):
        raise UnsafeText("Variable", f"{name[:40]!r} is not a plain variable name")
    return name


def variable_line(name: str, value: str) -> str:
    """`NAME=value` for a `Variable:` header of Originate, so that the channel gets exactly `value`. Errors: UnsafeText."""
    return f"{variable_name(name)}=" + _SPECIAL.sub(r"\\\1", value)


def sip_header_line(name: str, value: str) -> str:
    """A `Variable:` header of Originate that puts a header into the INVITE, one of SIP_HEADERS. Errors: UnsafeText."""
    if name not in SIP_HEADERS or not SIP_HEADERS[name].fullmatch(value):
        raise UnsafeText("Variable", f"{name[:40]!r} with this value is not a header that is sent")
    return f"PJSIP_HEADER(add,{name})={value}"


def anonymous_caller_id() -> str:
    """A `CallerID:` header that names nobody (RFC 3323)."""
    return '"Anonymous" <anonymous>'


def caller_id(number: str, name: str = "") -> str:
    """A `CallerID:` header: `"name" <number>`; quotes, angles, backslashes and controls are dropped from the name.

    Errors: UnsafeText when the number is not `+`, digits, `*`, `#`.
    """
    if not _NUMBER.fullmatch(number):
        raise UnsafeText("CallerID", "the caller number is not a telephone number")
    shown = _CALLER_NAME_DROPS.sub("", name).strip()[:MAX_CALLER_NAME]
    return f'"{shown}" <{number}>' if shown else f"<{number}>"


def pjsip_number(number: str, trunk: str) -> str:
    """The channel to dial `number` through the endpoint `trunk`. Errors: UnsafeText (a dial string can name another trunk or take options)."""
    if not _NUMBER.fullmatch(number):
        raise UnsafeText("Channel", "the number to dial is not a telephone number")
    return f"PJSIP/{number}@{_endpoint(trunk)}"


def pjsip_endpoint(endpoint: str) -> str:
    """The channel to ring the registered device `endpoint`. Errors: UnsafeText."""
    return f"PJSIP/{_endpoint(endpoint)}"


def _endpoint(name: str) -> str:
    if not _NAME_OF_ENDPOINT.fullmatch(name):
        raise UnsafeText("Channel", f"{name[:40]!r} is not the name of an endpoint")
    return name
