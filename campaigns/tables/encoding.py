"""Which encoding a text file is in: a byte order mark decides, else strict UTF-8, else GB18030 if what comes out is Chinese, else we ask.

Nearly every sequence of bytes is something in GB18030, also Big5, Latin-1 and broken UTF-8; but what comes out then are characters that hardly anybody writes.
So a file whose foreign characters are mostly outside GB 2312 (6,763 characters, more than 99.9 % of what is written) is not taken for GB18030: we ask.
"""

from __future__ import annotations

import codecs
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Final

from campaigns.errors import BadInput

ANSWERS: Final = {
    "utf-8": "utf-8-sig",
    "gb18030": "gb18030",
    "big5": "big5hkscs",
    "utf-16": "utf-16",
    "latin-1": "cp1252",
    "shift-jis": "cp932",
    "euc-kr": "cp949",
}
"""What a person may answer when we ask, and the codec it means. Strict: what does not fit is refused, never replaced."""

_BLOCK: Final = 1 << 20
_JUDGED: Final = 4 * _BLOCK
_RARE_SHARE: Final = 0.25
_NUL_SHARE: Final = 0.1  # UTF-16 without its mark
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NAMES: Final = ", ".join(ANSWERS)


def hash_and_encoding(path: Path, answer: str | None = None) -> tuple[bytes, int, str]:
    """SHA-256, length and encoding (a codec of Python) of a text file. `answer`: the encoding a person named.

    Errors: BadInput `file_empty`; `encoding_unknown`, `encoding_wrong` (with the first byte that fits not), `encoding_answer_unknown`; `file_cut_off`.
    """
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        head = file.read(1024)
        mark = next((codec for bom, codec in _MARKS if head.startswith(bom)), None)
        if mark is None and answer is None and head.count(0) > len(head) * _NUL_SHARE:
            raise _ask(head.index(0))
        file.seek(0)
        codec = _answered(answer) if answer else mark or "utf-8"
        decoder: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder(codec)()
        wrong_at = 0
        while block := file.read(_BLOCK):
            digest.update(block)
            if decoder is not None:
                try:
                    decoder.decode(block)
                except UnicodeDecodeError as error:
                    decoder, wrong_at = None, size + error.start
            size += len(block)
    if not size:
        raise BadInput("file_empty", "The file is empty: nothing was sent.")
    if decoder is not None:
        try:
            decoder.decode(b"", True)
        except UnicodeDecodeError as error:
            raise BadInput(
                "file_cut_off",
                "The file ends in the middle of a character: it seems to be cut off. Send the whole file, or name its encoding.",
                byte=size - len(error.object),
            ) from error
        return digest.digest(), size, "utf-8-sig" if codec == "utf-8" else codec
    if answer or mark:
        raise BadInput(
            "encoding_wrong", f"The file is not written in {answer or mark}; name the right encoding.", byte=wrong_at
        )
    _check_gb18030(path)
    return digest.digest(), size, "gb18030"


def _answered(answer: str) -> str:
    codec = ANSWERS.get(answer.strip().lower())
    if codec is None:
        raise BadInput("encoding_answer_unknown", f"Encodings are: {_NAMES}.", encoding=answer[:40])
    return codec


def _check_gb18030(path: Path) -> None:
    decoder, done = codecs.getincrementaldecoder("gb18030")(), 0
    foreign = rare = 0
    with path.open("rb") as file:
        try:
            while block := file.read(_BLOCK):
                text = decoder.decode(block)
                if done < _JUDGED:
                    beyond = [character for character in text if character > "\x7f"]
                    foreign += len(beyond)
                    rare += sum(map(_is_rare, beyond))
                done += len(block)
            decoder.decode(b"", True)
        except UnicodeDecodeError as error:
            raise _ask(done + error.start) from error
    if rare > foreign * _RARE_SHARE:
        raise _ask(None)


@lru_cache(maxsize=1 << 16)
def _is_rare(character: str) -> bool:
    try:
        character.encode("gb2312")
    except UnicodeEncodeError:
        return True
    return False


def _ask(byte: int | None) -> BadInput:
    detail = {} if byte is None else {"byte": byte}
    return BadInput(
        "encoding_unknown",
        f"In which encoding is this file? It is not UTF-8, and does not read as Chinese in GB18030. Say encoding= with one of: {_NAMES}.",
        encodings=list(ANSWERS),
        **detail,
    )
