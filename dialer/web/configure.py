"""What the web application takes from the settings of an installation."""

from __future__ import annotations

from dialer.settings import Settings
from dialer.web.deps import WebSettings
from recorder.archive.erasing import ArchiveKeys
from recorder.file_keys import FileKeys
from recorder.keyring import KeySource

SIP_REALM = "waihu"  # the realm of asterisk-conf/pjsip.conf; digests are made for it


def web_settings(settings: Settings) -> WebSettings:
    """For `create_app`, and for commands that carry out operations without HTTP."""
    return WebSettings(
        realm=SIP_REALM,
        prompts_dir=settings.prompts_dir,
        project_sign_offs=settings.project_sign_offs,
        region=settings.region,
        reject_days=settings.reject_days,
        secure_cookies=settings.web_url.startswith("https://"),
        trusted_proxies=settings.trusted_proxies,
        accel_prefix=settings.accel_prefix,
        heard_in_memory_bytes=settings.heard_in_memory_mib * 1024**2,
    )


def file_keys(settings: Settings) -> FileKeys:
    """What opens sealed recordings; reads the master keys when first asked."""
    return FileKeys(KeySource(path=settings.recording_keys, command=settings.recording_keys_command))


def archive_keys(settings: Settings) -> ArchiveKeys:
    """What opens recordings on discs without the ledger, and erases them there."""
    return ArchiveKeys(path=settings.archive_keys, keys=file_keys(settings))
