"""A volume for a client: the sound of its recordings, encrypted to the client's own key, with what it takes to open it and nothing of ours.

    README.txt                    what this is and how it is opened, in Chinese and English
    open.sh                       opens all of it (Linux, macOS)
    index.html.age, index.xlsx.age   the catalogue; the page plays the recordings beside it
    recordings/<call>.opus.age

Each file is in the age format (age-encryption.org/v1, recipient X25519), so any program that reads age opens it: age, rage. Names say no more than our own
ids; numbers and results are inside. It is a bag (RFC 8493) in an ISO image, signed like our volumes. age draws a new key for each file, so the same
recordings never make the same image twice.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import pyrage
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.archive.bag import close_with, hash_of
from recorder.archive.image import write_image
from recorder.archive.reading import read_volume
from recorder.errors import ArchiveError

SUFFIX: Final = ".age"


@dataclass(frozen=True, slots=True, kw_only=True)
class AboutHandover:
    """What a handover says of itself. `client` and `project` are texts from outside."""

    label: str
    export_id: str
    client: str
    project: str
    days: str
    recipient: str
    recordings: int
    made_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A finished image, read back and found right."""

    path: Path
    sha256: bytes
    bytes: int


def check_recipient(recipient: str) -> None:
    """Raises ArchiveError `recipient_invalid` for what is no public key of age."""
    try:
        pyrage.x25519.Recipient.from_str(recipient)
    except pyrage.RecipientError:
        raise ArchiveError(
            "recipient_invalid",
            "This is no public key of age: the client makes one with age-keygen and sends the line that begins with age1. Never the one with AGE-SECRET-KEY.",
        ) from None


class Parcel:
    """A handover as it is packed, in a folder of its own. Blocking; raises OSError when the disk does not take it."""

    def __init__(self, folder: Path, recipient: str) -> None:
        check_recipient(recipient)
        self._recipient = pyrage.x25519.Recipient.from_str(recipient)
        self._folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        self._data = folder / "bag" / "data"
        self._data.mkdir(parents=True)

    def put(self, name: str, content: bytes) -> None:
        """Encrypt a file into it; `name` is one of ours, a path below the volume."""
        file = self._data / (name + SUFFIX)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pyrage.encrypt(content, [self._recipient]))

    def close(self, about: AboutHandover, key: Ed25519PrivateKey) -> Image:
        """Write what describes it, sign it, make the image and read that back. Raises ArchiveError."""
        (self._data / "README.txt").write_text(_readme(about), encoding="utf-8", newline="\n")
        (self._data / "open.sh").write_text(_OPEN, encoding="ascii", newline="\n")
        bag = self._folder / "bag"
        payload = [path for path in sorted(self._data.rglob("*")) if path.is_file()]
        hashes = {path.relative_to(bag).as_posix(): hash_of(path) for path in payload}
        info = {
            "Bagging-Date": f"{about.made_at:%Y-%m-%d}",
            "External-Identifier": about.label,
            "Internal-Sender-Identifier": about.export_id,
            "Payload-Oxum": f"{sum(path.stat().st_size for path in payload)}.{len(payload)}",
            "Waihu-Age-Recipient": about.recipient,
        }
        close_with(bag, hashes, info, key)
        files = [(path.relative_to(bag).as_posix(), path) for path in sorted(bag.rglob("*")) if path.is_file()]
        image = self._folder / f"{about.label}.iso"
        size, sha256 = write_image(image, label=about.label, created_at=about.made_at, files=files)
        shutil.rmtree(bag)
        reading = read_volume(image, image_bytes=size, sha256=sha256)
        if reading.faults:
            raise ArchiveError(
                "archive_image_wrong",
                f"The image of {about.label} is not what was written ({reading.faults[0].path}: {reading.faults[0].problem}): check the disk.",
            )
        return Image(path=image, bytes=size, sha256=sha256)


def _readme(about: AboutHandover) -> str:
    facts: Mapping[str, str] = {
        "@LABEL@": about.label, "@CLIENT@": about.client or "-", "@PROJECT@": about.project, "@DAYS@": about.days, "@COUNT@": str(about.recordings),
        "@RECIPIENT@": about.recipient, "@EXPORT@": about.export_id, "@MADE@": f"{about.made_at:%Y-%m-%d %H:%M} UTC",
    }  # fmt: skip
    text = _README
    for mark, value in facts.items():
        text = text.replace(mark, " ".join(value.split()))
    return text


_OPEN: Final = """#!/bin/sh
# Opens everything on this volume into a folder:  sh open.sh KEY FOLDER
# KEY is the file with the line AGE-SECRET-KEY-1... that belongs to the public key in README.txt. Needs age (or: AGE=rage sh open.sh ...).
set -eu
[ $# -eq 2 ] || { echo "usage: sh open.sh KEY FOLDER" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
find "$here" -type f -name '*.age' | while IFS= read -r file; do
    name=${file#"$here"/}
    target=$2/${name%.age}
    mkdir -p "$(dirname "$target")"
    "${AGE:-age}" -d -i "$1" -o "$target" "$file" || exit 1
done
echo "open: $2/index.html"
"""

_README: Final = """录音交付 @LABEL@
================

客户：@CLIENT@    项目：@PROJECT@    日期：@DAYS@    录音：@COUNT@ 条
制作：@MADE@    导出编号：@EXPORT@

本卷的每个文件都用贵方的公钥加密（age 格式），只有持有对应私钥的人才能打开：
    @RECIPIENT@

打开方法
1. 安装 age（https://age-encryption.org，Windows、macOS、Linux 均可；Debian/Ubuntu：apt install age；macOS：brew install age）。
2. 准备私钥文件 key.txt（内含以 AGE-SECRET-KEY-1 开头的一行）。私钥不要交给任何人，也不要放在本卷旁边。
3. Linux、macOS：  sh data/open.sh key.txt 文件夹      全部打开
   任何系统单个文件：age -d -i key.txt -o 录音.opus data/recordings/XXXX.opus.age
4. 打开文件夹中的 index.html，即可查找和播放；index.xlsx 是同样内容的表格。左声道为客户，右声道为座席。

核对：在卷的根目录运行 sha256sum -c manifest-sha256.txt，可确认卷上文件未被改动。index.xlsx 中的 sha256 是录音打开后的值，与我方台账一致。
录音含个人信息：请按法律和合同保管，用完按期销毁。


Recordings handed over: @LABEL@
===============================

Client: @CLIENT@    Project: @PROJECT@    Days: @DAYS@    Recordings: @COUNT@
Made: @MADE@    Export: @EXPORT@

Every file on this volume is encrypted to your public key (age format). Only who has the private key to it can open them:
    @RECIPIENT@

How to open it
1. Install age (https://age-encryption.org, for Windows, macOS and Linux; Debian/Ubuntu: apt install age; macOS: brew install age).
2. Have the file with your private key at hand, key.txt (a line that begins with AGE-SECRET-KEY-1). Give it to nobody, keep it apart from this volume.
3. Linux, macOS:            sh data/open.sh key.txt FOLDER      opens everything
   one file, any system:    age -d -i key.txt -o call.opus data/recordings/XXXX.opus.age
4. Open index.html in the folder to search and to listen; index.xlsx is the same as a table. Left: the customer; right: the agent.

To check: sha256sum -c manifest-sha256.txt in the root of the volume says whether its files are as they were made. The sha256 in index.xlsx is that of an
opened recording, and the one in our ledger.
Recordings are personal data: keep them as law and contract ask, and destroy them in time.
"""
