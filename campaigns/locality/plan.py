"""What the numbering plans of the world say of a number: phonenumbers' geocoder, carriers and time zones."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import phonenumbers
from phonenumbers import timezone

from campaigns.locality.place import Place, split_place

NAME: Final = "numbering plan"
VERSION: Final = phonenumbers.__version__
_UNKNOWN: Final = "Etc/Unknown"


@lru_cache(maxsize=1)
def _books() -> tuple[Any, Any]:
    """Where, and whose: a hundred megabytes, for the processes that need them."""
    from phonenumbers import carrier, geocoder

    return geocoder, carrier


def place_of(e164: str) -> Place:
    """The place of a number; parts that the plan does not tell are empty. A zone only when there is one: between several nothing is guessed."""
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return Place(country="")
    geocoder, carrier = _books()
    country = phonenumbers.region_code_for_number(number) or ""
    language = "zh" if country == "CN" else "en"
    described = geocoder.description_for_number(number, language)
    province, city = split_place(described) if country == "CN" else ("", _beyond_country(described, number, geocoder))
    return Place(
        country=country,
        province=province,
        city=city,
        carrier=carrier.name_for_number(number, language),
        zone=zone_of(e164),
    )


def zone_of(e164: str) -> str:
    """The time zone of a number; empty when there are several or none. Cheap: no other book is opened."""
    try:
        zones = timezone.time_zones_for_number(phonenumbers.parse(e164))
    except phonenumbers.NumberParseException:
        return ""
    return zones[0] if len(zones) == 1 and zones[0] != _UNKNOWN else ""


def _beyond_country(described: str, number: Any, geocoder: Any) -> str:
    return "" if described == geocoder.country_name_for_number(number, "en") else described
