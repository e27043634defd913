"""Scripts as the API shows and takes them; a script's document itself is `campaigns.scripts.document`."""

from __future__ import annotations

from pydantic import Field

from dialer.web.fields import Out


class Finding(Out):
    """Something that is wrong with a script."""

    code: str = Field(description="Stable; docs/scripts.md lists them.")
    place: str = Field(description="Where in the document.")
    sentence: str
    remark: bool = Field(description="Only said; anything else must be mended before the script can be published.")


class Checked(Out):
    """What a look at a script found."""

    findings: list[Finding]
