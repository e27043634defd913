"""`waihu doctor`: looks at every dependency of an installation and says what to do about each finding.

Each check is a small function in the file of its subject; it takes the settings, looks, changes nothing and returns findings.
"""

from __future__ import annotations

from dialer.doctor.examine import CHECKS, examine
from dialer.doctor.finding import Finding, Level

__all__ = ["CHECKS", "Finding", "Level", "examine"]
