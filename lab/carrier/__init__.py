"""A fake carrier: a second Asterisk that plays the public telephone network. The number dialled decides what happens."""

from __future__ import annotations

from lab.carrier.behaviour import Behaviour, decode, number_for
from lab.carrier.carrier import Carrier
from lab.carrier.cdr import CarrierCdr

__all__ = ["Behaviour", "Carrier", "CarrierCdr", "decode", "number_for"]
