"""A bucket with Object Lock as a place for copies of volumes: what is in it can be neither changed nor deleted before its day, by nobody.

Any S3 with versioning and Object Lock. Credentials, region and endpoint come from where every program that speaks to S3 takes them (`AWS_*` variables,
`~/.aws/config`). Blocking. Raises ArchiveError: `bucket_unknown`, `bucket_refused`, `bucket_unreachable`, `bucket_without_lock`; Damaged `bucket_object_gone`.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote, unquote

from recorder.errors import ArchiveError, Damaged

PART_BYTES: Final = 64 << 20
_BLOCK: Final = 4 << 20
_AHEAD: Final = 1 << 20
_SHA256: Final = "sha256"
_ADDRESS: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([A-Za-z0-9._/-]{0,500}))?")
_LOCATION: Final = re.compile(r"s3://([^/]+)/([^?]+)\?versionId=(.+)")
_UNKNOWN: Final = frozenset({"NoSuchBucket", "InvalidBucketName"})
_GONE: Final = frozenset({"NoSuchKey", "NoSuchVersion", "404"})
_NO_LOCK: Final = frozenset(
    {"ObjectLockConfigurationNotFoundError", "ObjectLockConfigurationNotFound", "InvalidBucketState"}
)

Told = Callable[[int], None]
"""Hears of bytes that went one way or the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A bucket, and what the keys in it begin with."""

    bucket: str
    prefix: str

    @classmethod
    def of(cls, address: str) -> Self:
        """From `s3://bucket/prefix`. Raises ArchiveError `bucket_address_invalid`."""
        match = _ADDRESS.fullmatch(address)
        if match is None:
            raise ArchiveError("bucket_address_invalid", f"{address!r} is no bucket: give s3://bucket/folder.")
        return cls(bucket=match[1], prefix=(match[2] or "").strip("/"))

    def key(self, name: str) -> str:
        """Where a copy lies."""
        return f"{self.prefix}/{name}.iso" if self.prefix else f"{name}.iso"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One version of an object: it never becomes another."""

    bucket: str
    key: str
    version: str

    @classmethod
    def at(cls, location: str) -> Self:
        """From a copy's location in the ledger."""
        match = _LOCATION.fullmatch(location)
        if match is None:
            raise ArchiveError("bucket_address_invalid", f"{location!r} is no object in a bucket.")
        return cls(bucket=match[1], key=match[2], version=unquote(match[3]))

    @property
    def location(self) -> str:
        """As the ledger keeps it."""
        return f"s3://{self.bucket}/{self.key}?versionId={quote(self.version, safe='')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """How an object is to be locked. `until` None: not by time. `held`: a legal hold, above all times."""

    compliance: bool
    until: datetime | None
    held: bool

    @property
    def mode(self) -> str:
        """The word of S3."""
        return "COMPLIANCE" if self.compliance else "GOVERNANCE"


@cache
def client() -> Any:
    """The client of this process; making one takes a third of a second. Environment and files are read once."""
    import boto3
    from botocore.config import Config

    answers = Config(connect_timeout=10, read_timeout=60, retries={"max_attempts": 5, "mode": "standard"})
    return boto3.session.Session().client("s3", config=answers)


class Bucket:
    """One bucket."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def _s3(self) -> Any:
        with _said(self._name):
            return client()

    def check(self) -> None:
        """Whether it is there, ours, versioned, and locks. Raises ArchiveError `bucket_without_lock` where it does not."""
        with _said(self._name):
            self._s3.head_bucket(Bucket=self._name)
        with _said(self._name):
            versions = self._s3.get_bucket_versioning(Bucket=self._name).get("Status")
            lock = self._s3.get_object_lock_configuration(Bucket=self._name)["ObjectLockConfiguration"]
        if versions != "Enabled" or lock.get("ObjectLockEnabled") != "Enabled":
            raise _without_lock(self._name)

    def put(self, key: str, image: Path, sha256: bytes, lock: Lock, told: Told = lambda _bytes: None) -> Stored:
        """Put an image in, in parts: what an earlier try has brought there is not sent again, and a whole one is taken as it is.

        Locked from its first moment. Every part is checked by the server against its SHA-256; whoever needs to know that the whole is there reads it.
        """
        with _said(self._name):
            there = self._there(key, image.stat().st_size, sha256)
            if there is None:
                upload = self._begun(key) or self._begin(key, sha256, lock)
                parts = self._send(key, upload, image, told)
                there = self._s3.complete_multipart_upload(
                    Bucket=self._name, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
                )["VersionId"]
        return Stored(bucket=self._name, key=key, version=there)

    def images(self, prefix: str) -> list[Stored]:
        """The newest version of every image whose key begins so, in the order of the keys. Raises ArchiveError `bucket_unknown`."""
        with _said(self._name):
            pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self._name, Prefix=prefix)
            found = [one for page in pages for one in page.get("Versions", []) if one["IsLatest"]]
        keys = sorted((one["Key"], one["VersionId"]) for one in found if one["Key"].endswith(".iso"))
        return [Stored(bucket=self._name, key=key, version=version) for key, version in keys]

    def _there(self, key: str, size: int, sha256: bytes) -> str | None:
        """The version of a whole image that an earlier try has put there."""
        for version in self._s3.list_object_versions(Bucket=self._name, Prefix=key).get("Versions", []):
            if version["Key"] != key or version["Size"] != size:
                continue
            head = self._s3.head_object(Bucket=self._name, Key=key, VersionId=version["VersionId"])
            if head["Metadata"].get(_SHA256) == sha256.hex():
                return str(version["VersionId"])
        return None

    def _begun(self, key: str) -> str | None:
        """The newest unfinished upload of a key."""
        uploads = self._s3.list_multipart_uploads(Bucket=self._name, Prefix=key).get("Uploads", [])
        of_key = [one for one in uploads if one["Key"] == key]
        return str(max(of_key, key=lambda one: one["Initiated"])["UploadId"]) if of_key else None

    def _begin(self, key: str, sha256: bytes, lock: Lock) -> str:
        locked: dict[str, Any] = {}
        if lock.until is not None:
            locked = {"ObjectLockMode": lock.mode, "ObjectLockRetainUntilDate": lock.until}
        if lock.held:
            locked["ObjectLockLegalHoldStatus"] = "ON"
        begun = self._s3.create_multipart_upload(
            Bucket=self._name, Key=key, ChecksumAlgorithm="SHA256", Metadata={_SHA256: sha256.hex()},
            ContentType="application/x-iso9660-image", **locked,
        )  # fmt: skip
        return str(begun["UploadId"])

    def _send(self, key: str, upload: str, image: Path, told: Told) -> list[dict[str, Any]]:
        there = {part["PartNumber"]: part for part in self._parts(key, upload)}
        parts = []
        with image.open("rb") as file:
            for number, block in enumerate(iter(lambda: file.read(PART_BYTES), b""), 1):
                checksum = base64.b64encode(hashlib.sha256(block).digest()).decode()
                part = there.get(number)
                if part is None or not _same(part, block, checksum):
                    part = self._s3.upload_part(
                        Bucket=self._name, Key=key, UploadId=upload, PartNumber=number, Body=block, ChecksumSHA256=checksum
                    )  # fmt: skip
                parts.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA256": checksum})
                told(len(block))
        return parts

    def _parts(self, key: str, upload: str) -> Iterator[Mapping[str, Any]]:
        for page in self._s3.get_paginator("list_parts").paginate(Bucket=self._name, Key=key, UploadId=upload):
            yield from page.get("Parts", [])

    def blocks(self, stored: Stored, told: Told = lambda _bytes: None) -> Iterator[bytes]:
        """Every byte of an object, as the bucket gives it back now."""
        with _said(self._name):
            body = self._s3.get_object(Bucket=self._name, Key=stored.key, VersionId=stored.version)["Body"]
            for block in body.iter_chunks(_BLOCK):
                told(len(block))
                yield block

    def download(self, stored: Stored, target: Path, told: Told = lambda _bytes: None) -> None:
        """An object into a file, durable when it returns."""
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        with part.open("wb") as file:
            for block in self.blocks(stored, told):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)

    def lock_of(self, stored: Stored) -> Lock:
        """How an object is locked now."""
        with _said(self._name):
            head = self._s3.head_object(Bucket=self._name, Key=stored.key, VersionId=stored.version)
        return Lock(
            compliance=head.get("ObjectLockMode") == "COMPLIANCE",
            until=head.get("ObjectLockRetainUntilDate"),
            held=head.get("ObjectLockLegalHoldStatus") == "ON",
        )

    def hold(self, stored: Stored, *, held: bool) -> None:
        """Place or lift the legal hold of an object."""
        with _said(self._name):
            self._s3.put_object_legal_hold(
                Bucket=self._name, Key=stored.key, VersionId=stored.version, LegalHold={"Status": "ON" if held else "OFF"}
            )  # fmt: skip

    def lock(self, stored: Stored, lock: Lock) -> None:
        """Lock an object until a later day, or more strictly."""
        with _said(self._name):
            self._s3.put_object_retention(
                Bucket=self._name, Key=stored.key, VersionId=stored.version, Retention={"Mode": lock.mode, "RetainUntilDate": lock.until},
            )  # fmt: skip

    def remove(self, stored: Stored, *, now: datetime) -> None:
        """Delete an object whose day is over. Raises ArchiveError `bucket_locked` before."""
        lock = self.lock_of(stored)
        if lock.held or (lock.until is not None and lock.until > now.astimezone(UTC)):
            until = "a legal hold is lifted" if lock.held else f"{lock.until:%Y-%m-%d %H:%M} UTC"
            raise ArchiveError("bucket_locked", f"{stored.location} is locked until {until}: it stays, whoever asks.")
        with _said(self._name):
            self._s3.delete_object(Bucket=self._name, Key=stored.key, VersionId=stored.version)

    def source(self, stored: Stored) -> ObjectSource:
        """An object to read in from any place, as a disc."""
        return ObjectSource(self, stored)

    def read_at(self, stored: Stored, start: int, count: int) -> bytes:
        """Bytes of an object; fewer, or none, where it ends."""
        try:
            with _said(self._name):
                found = self._s3.get_object(
                    Bucket=self._name, Key=stored.key, VersionId=stored.version, Range=f"bytes={start}-{start + count - 1}"
                )["Body"].read()  # fmt: skip
        except _PastTheEnd:
            return b""
        return bytes(found)


class ObjectSource:
    """Reads an object by ranges, with what lies around small ones."""

    def __init__(self, bucket: Bucket, stored: Stored) -> None:
        self._bucket = bucket
        self._stored = stored
        self._at = 0
        self._ahead = b""

    def pread(self, count: int, start: int) -> bytes:
        """As os.pread. Raises OSError where the bucket does not give it."""
        try:
            if count >= _AHEAD:
                return self._bucket.read_at(self._stored, start, count)
            if not self._at <= start <= start + count <= self._at + len(self._ahead):
                self._at, self._ahead = start, self._bucket.read_at(self._stored, start, _AHEAD)
        except ArchiveError as error:
            raise OSError(None, error.message) from error
        return self._ahead[start - self._at : start - self._at + count]

    def close(self) -> None:
        """Nothing is held."""


class _PastTheEnd(Exception):
    """A range that begins behind the end."""


def _same(part: Mapping[str, Any], block: bytes, checksum: str) -> bool:
    """Whether a part that is there is this one. Not every server lists the SHA-256; the entity tag of a part is its MD5 where it is not encrypted."""
    if part["Size"] != len(block):
        return False
    if part.get("ChecksumSHA256"):
        return bool(part["ChecksumSHA256"] == checksum)
    return bool(part["ETag"].strip('"') == hashlib.md5(block, usedforsecurity=False).hexdigest())


def _without_lock(bucket: str) -> ArchiveError:
    return ArchiveError(
        "bucket_without_lock",
        f"The bucket {bucket} has no Object Lock, or keeps no versions: make one with both, they cannot be relied on later. Nothing was written.",
    )


@contextmanager
def _said(bucket: str) -> Iterator[None]:
    """What S3 says, in our words."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        message = error.response.get("Error", {}).get("Message", "")
        if code in {"InvalidRange", "416"}:
            raise _PastTheEnd from error
        if code in _NO_LOCK:
            raise _without_lock(bucket) from error
        if code in _UNKNOWN or (code == "404" and error.operation_name == "HeadBucket"):
            raise ArchiveError("bucket_unknown", f"There is no bucket {bucket}.") from error
        if code in _GONE:
            raise Damaged(
                "bucket_object_gone", f"The bucket {bucket} does not have this version of the object."
            ) from error
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
            raise ArchiveError(
                "bucket_unreachable",
                f"The bucket {bucket} fails at {error.operation_name} ({code}: {message}): run again later.",
            ) from error
        raise ArchiveError(
            "bucket_refused",
            f"The bucket {bucket} refuses {error.operation_name} ({code}: {message}): see credentials and rights.",
        ) from error
    except BotoCoreError as error:
        raise ArchiveError(
            "bucket_unreachable",
            f"The bucket {bucket} cannot be reached ({error}): see network, endpoint, credentials.",
        ) from error
