"""Where Asterisk's configuration lies that belongs to this code: in a checkout beside the packages, in an installed wheel among them."""

from __future__ import annotations

from pathlib import Path

from dialer.domain.errors import NotFound

_IN_WHEEL = Path(__file__).with_name("conf")
_IN_CHECKOUT = Path(__file__).resolve().parents[2] / "asterisk-conf"


def asterisk_conf(places: tuple[Path, ...] = (_IN_WHEEL, _IN_CHECKOUT)) -> Path:
    """The directory to copy, or to mount, as Asterisk's own. NotFound `asterisk_conf_missing` names where it was looked for."""
    for place in places:
        if (place / "asterisk.conf").is_file():
            return place
    raise NotFound(
        "asterisk_conf_missing",
        f"Asterisk's configuration is in none of {', '.join(map(str, places))}: install Waihu from its wheel, or from the whole checkout.",
    )
