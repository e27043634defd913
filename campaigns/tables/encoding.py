"""Which encoding a text file is in: a byte order mark decides, else strict UTF-8, else GB18030 if what comes out is Chinese, else we ask.

Nearly every sequence of bytes is something in GB18030, also Big5, Latin-1 and broken UTF-8; but what comes out then are characters that hardly anybody writes.
So a file whose foreign characters are mostly outside GB 2312 (6,763 characters, more than 99.9 % of what is written) is not taken for GB18030: we ask.
Korean in EUC-KR comes out as characters of GB 2312, all of them from its first 25 rows of hanzi (A to Q by their sound), and few of those that names, addresses and headers are
made of: so we ask about such a file as well.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from collections import Counter
from collections.abc import Callable
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
_JUDGED: Final = 2_000_000
"""So many foreign characters are judged, wherever in the file they stand."""
_RARE_SHARE: Final = 0.25
_USUAL_SHARE: Final = 0.45  # of Chinese lists mostly more than half, of Korean ones read as GB18030 about a sixth
_HANZI: Final = range(0xB0, 0xF8)
"""The rows of hanzi in GB 2312, by the first byte; signs and other alphabets come before."""
_HANGUL: Final = range(0xB0, 0xC9)
"""The rows of syllables in EUC-KR."""
_HANGUL_SHARE: Final = 0.95  # of the hanzi of a Chinese text about two thirds lie there
_FOREIGN: Final = re.compile(r"[^\x00-\x7f]+")
_USUAL: Final = frozenset(
    # what texts are made of
    "的一是了我不人在他有这个上们来到时大地为子中你说生国年着就那和要她出也得里后自以会家可下而过天去能对小多然于心学之都好看起发当没成只如事把还用第样道想作种开美总从无情面最女但现前些所同日手又行意动方期头经长回位分爱老因很给名法间知世两次使身者被高已其进此话常与活正"
    # surnames
    "王李张刘陈杨黄赵周吴徐孙朱马胡郭林何梁郑罗宋谢唐韩曹许邓萧冯曾程蔡彭潘袁董余苏叶吕魏蒋田杜丁沈姜范江傅钟卢汪戴崔任陆廖姚金邱夏谭韦贾邹石熊孟秦阎薛侯雷白龙段郝孔邵史毛万顾赖武康贺严尹钱施牛洪龚"
    # given names
    "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂文辉建华玉红梅志永春海燕峰云荣凤斌鹏宇浩婷雪欣怡涵梓轩雷宁俊飞波颖琳佳慧晓东晨阳思嘉翠莉珍素淑萍玲清德成良振义新立庆祥福瑞"
    # addresses
    "省市区县镇乡村街路号楼室单元栋层厦园苑北京津重庆河山西辽吉黑浙安徽建南湖广四川贵州陕甘肃青内蒙古藏夏疆门岛城中心港台"
    # headers, companies, goods
    "姓名机码电话联系客户编址性别龄备注额期份证公司企业位职产品业务银行车牌型邮箱有限责科技贸易商集团类数量价格态结果意向本部学医保险"
)
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
    written: Counter[str] = Counter()
    with path.open("rb") as file:
        try:
            while block := file.read(_BLOCK):
                text = decoder.decode(block)
                if not text.isascii() and written.total() < _JUDGED:
                    written.update("".join(_FOREIGN.findall(text)))
                done += len(block)
            decoder.decode(b"", True)
        except UnicodeDecodeError as error:
            raise _ask(done + error.start) from error
    rows = {character: _row(character) for character in written}

    def times(which: Callable[[str], bool]) -> int:
        return sum(often for character, often in written.items() if which(character))

    hanzi = times(lambda character: rows[character] in _HANZI)
    like_hangul = times(lambda character: rows[character] in _HANGUL) > hanzi * _HANGUL_SHARE
    unusual = times(_USUAL.__contains__) < hanzi * _USUAL_SHARE
    if times(lambda character: not rows[character]) > written.total() * _RARE_SHARE or (like_hangul and unusual):
        raise _ask(None)


def _row(character: str) -> int:
    """The first byte of a character in GB 2312; 0 for one that is not in it."""
    try:
        return character.encode("gb2312")[0]
    except UnicodeEncodeError:
        return 0


def _ask(byte: int | None) -> BadInput:
    detail = {} if byte is None else {"byte": byte}
    return BadInput(
        "encoding_unknown",
        f"In which encoding is this file? It is not UTF-8, and does not read as Chinese in GB18030. Say encoding= with one of: {_NAMES}.",
        encodings=list(ANSWERS),
        **detail,
    )
