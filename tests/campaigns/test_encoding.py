"""Promises of the guess at an encoding: what is not certain is asked, wherever in the file it stands; Chinese lists are not asked about."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaigns.errors import BadInput
from campaigns.tables.encoding import hash_and_encoding

ASCII = b"138%08d,some plain name\n"
LONG = b"phone,name\n" + b"".join(ASCII % place for place in range(180_000))  # more than 4 MB
BIG5 = "13912345678,陳志明\n13912345679,林淑芬\n13912345670,黃雅婷\n".encode("big5")
KOREAN = (
    "김영수",
    "박지훈",
    "이민정",
    "최서연",
    "서울특별시 강남구 역삼동",
    "부산광역시 해운대구 우동",
    "고객 이름, 전화번호, 주소",
)
CHINESE = (
    "张伟", "龚翠", "欧阳娜娜", "高俊", "江苏省南京市鼓楼区中山路8号", "内蒙古呼和浩特", "信用卡分期, 逾期还款", "比亚迪 帕萨特 哈弗", "幼儿园家长报名",
    "姓名,备注\n靖爽,诺泉\n鹃昊,蓓蕾", "客户名称;联系电话",
)  # fmt: skip


@pytest.mark.parametrize("head", [b"phone,name\n", LONG], ids=["short", "after 4 MB of ASCII"])
@pytest.mark.parametrize("body", [BIG5, "13912345678,김영수\n".encode("euc-kr")], ids=["big5", "euc-kr"])
def test_names_of_another_encoding_are_asked_about_wherever_they_stand(
    tmp_path: Path, head: bytes, body: bytes
) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(head + body)
    with pytest.raises(BadInput) as asked:
        hash_and_encoding(path)
    assert asked.value.error_id == "encoding_unknown"


@pytest.mark.parametrize("text", KOREAN)
def test_korean_is_asked_about_and_read_as_was_answered(tmp_path: Path, text: str) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(text.encode("euc-kr"))
    with pytest.raises(BadInput):
        hash_and_encoding(path)
    assert hash_and_encoding(path, "euc-kr")[2] == "cp949"


@pytest.mark.parametrize("text", CHINESE)
def test_chinese_of_many_kinds_is_known_as_gb18030(tmp_path: Path, text: str) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(text.encode("gb18030"))
    assert hash_and_encoding(path)[2] == "gb18030"
