"""The codec recordings are kept in."""

from __future__ import annotations

from dialer.doctor.finding import Finding, fault, ok
from dialer.settings import Settings


async def encoder(settings: Settings, *, codec: str = "libopus") -> list[Finding]:
    """PyAV brings an Opus encoder that works."""
    del settings
    try:
        import av
    except ImportError as error:
        return [
            fault(
                "codecs",
                f"PyAV cannot be loaded: {error}",
                "Install it again for this machine: pip install --force-reinstall av",
            )
        ]
    try:
        name = av.CodecContext.create(codec, "w").codec.long_name
    except ValueError as error:
        return [
            fault(
                "codecs",
                f"PyAV {av.__version__} has no encoder {codec}: {error}",
                "Install the wheel from PyPI; a PyAV built against a system FFmpeg may lack Opus.",
            )
        ]
    return [ok("codecs", f"{name} by PyAV {av.__version__}")]
