"""What the web application takes from the settings of an installation."""

from __future__ import annotations

from dialer.settings import Settings
from dialer.web.deps import WebSettings

SIP_REALM = "waihu"  # the realm of asterisk-conf/pjsip.conf; digests are made for it


def web_settings(settings: Settings) -> WebSettings:
    """For `create_app`, and for commands that carry out operations without HTTP."""
    return WebSettings(
        realm=SIP_REALM,
        region=settings.region,
        secure_cookies=settings.web_url.startswith("https://"),
        trusted_proxies=settings.trusted_proxies,
    )
