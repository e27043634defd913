"""What can go wrong while the lab is set up, each said so that the reader knows what to do."""

from __future__ import annotations


class LabError(Exception):
    """Base of the lab's errors. The message is a sentence that says what to do; error_id is stable."""

    error_id = "lab.failed"


class ServiceFailed(LabError):
    """A private service did not start, or ended by itself. The message carries the end of its log."""

    error_id = "lab.service_failed"


class NotReady(LabError):
    """A condition did not come true before its deadline."""

    error_id = "lab.not_ready"


class ProgramMissing(LabError):
    """A program of the system packages is not there."""

    error_id = "lab.program_missing"


class PortsExhausted(LabError):
    """No free port (or run of ports) is left in the lab's range."""

    error_id = "lab.ports_exhausted"


class ImageMissing(LabError):
    """The Asterisk image was not built, or is not the one this checkout needs."""

    error_id = "lab.image_missing"


class RuntimeMissing(LabError):
    """Neither a Docker daemon nor podman can be used."""

    error_id = "lab.runtime_missing"


class ImageBuildFailed(LabError):
    """The Asterisk image could not be built, or what came out is too old."""

    error_id = "lab.image_build_failed"
