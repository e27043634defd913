"""A folder of lists as they come from clients, spreadsheets and enemies; each with what must become of it, row by row.

They are made, not kept: `LISTS` says how. A list is either refused whole (`refused`), or its rows are taken or given back (line → error_id).
"""

from __future__ import annotations

import datetime as dt
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import xlsxwriter
import xlwt

N: Final = ("13812345671", "13812345672", "13812345673", "13812345674")
E: Final = tuple("+86" + number for number in N)
GOOD: Final = f"手机号,姓名\n{N[0]},王芳\n{N[1]},李雷\n"
CHINESE: Final = f"手机号,姓名,备注\n{N[0]},龚翠,上门服务\n{N[1]},张伟,晚上再打\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """One file: its name, its bytes, the numbers that are taken, the rows that come back, or why the whole is refused."""

    name: str
    content: Callable[[], bytes]
    taken: tuple[str, ...] = E[:2]
    back: Mapping[int, str] = field(default_factory=dict)
    refused: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def text(name: str, content: str | bytes, **expected: Any) -> Hostile:
    """A text file."""
    return Hostile(name=name, content=lambda: content if isinstance(content, bytes) else content.encode(), **expected)


def book(name: str, fill: Callable[[Any], None], **expected: Any) -> Hostile:
    """An xlsx workbook."""

    def made() -> bytes:
        out = io.BytesIO()
        workbook = xlsxwriter.Workbook(out, {"in_memory": True})
        fill(workbook)
        workbook.close()
        return out.getvalue()

    return Hostile(name=name, content=made, **expected)


def rows(*lines: list[object]) -> Callable[[Any], None]:
    """A workbook with one sheet of these rows."""

    def fill(workbook: Any) -> None:
        sheet = workbook.add_worksheet()
        for at, line in enumerate(lines):
            sheet.write_row(at, 0, line)

    return fill


def old_book() -> bytes:
    """An xls file of the old kind, with numbers as numbers."""
    workbook, out = xlwt.Workbook(), io.BytesIO()
    sheet = workbook.add_sheet("名单")
    lines: list[list[object]] = [["手机号", "姓名"], [int(N[0]), "王芳"], [N[1], "李雷"], ["12", "x"]]
    for at, line in enumerate(lines):
        for column, cell in enumerate(line):
            sheet.write(at, column, cell)
    workbook.save(out)
    return out.getvalue()


_ODS_HEAD: Final = (
    '<?xml version="1.0" encoding="UTF-8"?><office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0">'
    '<office:body><office:spreadsheet><table:table table:name="a">'
)
_ODS_FOOT: Final = "</table:table></office:spreadsheet></office:body></office:document-content>"


def ods(*lines: list[str], repeat: tuple[str, str] = ("", "")) -> bytes:
    """An OpenDocument sheet; `repeat`: attributes of its last row, and of that row's cells."""
    made = [_ODS_HEAD]
    for at, line in enumerate(lines):
        of_row, of_cell = repeat if at == len(lines) - 1 else ("", "")
        made.append(f"<table:table-row {of_row}>")
        made += [
            f'<table:table-cell office:value-type="string" {of_cell}><text:p>{cell}</text:p></table:table-cell>'
            for cell in line
        ]
        made.append("</table:table-row>")
    made.append(_ODS_FOOT)
    return zipped(
        {
            "mimetype": b"application/vnd.oasis.opendocument.spreadsheet",
            "content.xml": "".join(made).encode(),
            "META-INF/manifest.xml": b'<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>',
        }
    )


def zipped(members: Mapping[str, bytes]) -> bytes:
    """A zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def with_sheet_xml(cells: str) -> bytes:
    """A workbook whose sheet's XML is written by hand."""
    plain = book("", rows(["phone"], ["x"])).content()
    with zipfile.ZipFile(io.BytesIO(plain)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    head, _, rest = members["xl/worksheets/sheet1.xml"].partition(b"<sheetData>")
    members["xl/worksheets/sheet1.xml"] = head + b"<sheetData>" + cells.encode() + b"</sheetData>" + rest.partition(b"</sheetData>")[2]  # fmt: skip
    return zipped(members)


def _inline(place: str, cell: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{cell}</t></is></c>'


def far_apart() -> bytes:
    """Two cells, at both ends of the largest sheet there is: 17 thousand million cells between them."""
    return with_sheet_xml(
        f'<row r="1">{_inline("A1", "phone")}</row><row r="1048576">{_inline("XFD1048576", N[0])}</row>'
    )


def bomb(*, honest: bool) -> bytes:
    """A workbook that unpacks to 6 GiB of spaces: as its directory says, or although it says 1 KiB."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = squeeze.compress(b" " * (1 << 20)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    packed = block * 6144 + zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    name, size = b"xl/worksheets/sheet1.xml", 4 * (1 << 30) - 2 if honest else 1024
    plain = book("", rows(["phone"])).content()
    with zipfile.ZipFile(io.BytesIO(plain)) as archive:
        rest = {one: archive.read(one) for one in archive.namelist() if one.encode() != name}
    body = zipped(rest)
    end = body.rindex(b"PK\x05\x06")
    count, length, offset = struct.unpack("<HII", body[end + 10 : end + 20])
    local = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 8, 0, 33, 0, len(packed), size, len(name), 0) + name + packed
    entry = struct.pack(
        "<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 8, 0, 33, 0, len(packed), size, len(name), 0, 0, 0, 0, 0, offset
    )
    directory = entry + name + body[offset : offset + length]
    # The new member goes before the directory, so the others stay where they are.
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count + 1, count + 1, len(directory), offset + len(local), 0)
    return body[:offset] + local + directory + tail


def locked_book() -> bytes:
    """What a workbook with a password is: a compound file with the encrypted package inside. Here only its first sector, as damaged as can be."""
    return (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
        + b"\x00" * 16
        + b"EncryptedPackage".decode().encode("utf-16-le")
        + b"\x00" * 600
    )


def two_sheets(workbook: Any, *, hide: bool) -> None:
    """A list on the second sheet; on the first something else."""
    first = workbook.add_worksheet("说明")
    first.write_row(0, 0, ["这是说明", "x"])
    second = workbook.add_worksheet("名单")
    for at, line in enumerate((["手机号", "姓名"], [N[0], "王芳"], [N[1], "李雷"])):
        second.write_row(at, 0, line)
    if hide:
        second.activate()
        first.hide()


def merged(workbook: Any) -> None:
    """One number over two merged rows: the second has none of its own."""
    sheet = workbook.add_worksheet()
    sheet.write_row(0, 0, ["手机号", "姓名"])
    sheet.merge_range("A2:A3", N[0])
    sheet.write_column(1, 1, ["王芳", "李雷"])


def titled(workbook: Any) -> None:
    """A title over two merged columns and a blank line above the header."""
    sheet = workbook.add_worksheet()
    sheet.merge_range("A1:B1", "二月名单")
    sheet.write_row(2, 0, ["手机号", "姓名"])
    sheet.write_row(3, 0, [N[0], "王芳"])
    sheet.write_row(4, 0, [N[1], "李雷"])


def typed(workbook: Any) -> None:
    """Dates, times, truths, formulas with and without a value, numbers as numbers."""
    sheet, day = workbook.add_worksheet(), workbook.add_format({"num_format": "yyyy-mm-dd"})
    sheet.write_row(0, 0, ["手机号", "生日", "额", "会员"])
    sheet.write_row(1, 0, [int(N[0]), 45296, 1.5, True])
    sheet.write_datetime(1, 1, dt.date(2024, 1, 5), day)
    sheet.write_formula(2, 0, "=A2+1", None, int(N[1]))
    sheet.write_formula(3, 0, '=HYPERLINK("http://x")', None, "")
    sheet.write(3, 2, "x")
    sheet.write_datetime(4, 0, dt.date(2024, 1, 5), day)


def charts_only(workbook: Any) -> None:
    """Nothing but an empty sheet and a hidden one with a list in it."""
    workbook.add_worksheet("leer")
    hidden = workbook.add_worksheet("名单")
    hidden.write_row(0, 0, ["手机号"])
    hidden.write_row(1, 0, [N[0]])
    hidden.hide()


LISTS: Final = (
    # encodings
    text("utf8.csv", GOOD),
    text("utf8_mark.csv", GOOD.encode("utf-8-sig")),
    text("gbk.csv", CHINESE.encode("gbk")),
    text("gb18030_four_bytes.csv", CHINESE.replace("龚", "㛃").encode("gb18030")),
    text("gb18030_mark.csv", b"\x84\x31\x95\x33" + CHINESE.encode("gb18030"), refused="header_without_number"),
    text("utf16.csv", CHINESE.encode("utf-16")),
    text("utf16_be.tsv", b"\xfe\xff" + CHINESE.replace(",", "\t").encode("utf-16-be")),
    text("utf32.csv", CHINESE.encode("utf-32")),
    text("utf16_without_mark.csv", CHINESE.encode("utf-16-le"), refused="encoding_unknown"),
    text("big5.csv", "手機,姓名,備註\n13812345671,陳怡君,請晚上聯絡\n".encode("big5"), refused="encoding_unknown"),
    text("big5_answered.csv", f"手機號碼,姓名\n{N[0]},陳怡君\n{N[1]},林志明\n".encode("big5"), options={"encoding": "big5", "mapping": {"number": "手機號碼"}}),
    text("latin1.csv", f"phone,name\n{N[0]},Müller\n{N[1]},José\n".encode("latin-1"), refused="encoding_unknown"),
    text("latin1_answered.csv", f"phone,name\n{N[0]},Müller\n{N[1]},José\n".encode("latin-1"), options={"encoding": "latin-1"}),
    text("wrong_answer.csv", CHINESE.encode("gbk"), options={"encoding": "utf-8"}, refused="encoding_wrong"),
    text("no_such_answer.csv", GOOD, options={"encoding": "klingon"}, refused="encoding_answer_unknown"),
    text("one_bad_byte.csv", GOOD.encode() + b"13812345673,\xe7\x8e\xff\n", refused="encoding_unknown"),
    text("cut_in_a_character.csv", GOOD.encode() + "13812345673,王".encode()[:-1], refused="file_cut_off"),
    text("zeroes.csv", b"\0" * 500, refused="encoding_unknown"),
    # delimiters, line ends, headers
    text("tabs.tsv", GOOD.replace(",", "\t")),
    text("semicolons.csv", GOOD.replace(",", ";")),
    text("bars.csv", GOOD.replace(",", "|")),
    text("semicolons_and_commas.csv", f"phone;name;note\n{N[0]};A;a,b,c,d\n{N[1]};B;e,f\n"),
    text("one_column.csv", f"phone\n{N[0]}\n{N[1]}\n"),
    text("one_column_two_numbers.csv", f"phone\n{N[0]};{N[2]}\n{N[1]}\n"),
    text("mixed_line_ends.csv", f"phone,name\r\n{N[0]},A\r{N[1]},B\n"),
    text("no_last_line_end.csv", GOOD.rstrip("\n")),
    text("blank_lines.csv", f"\n\nphone,name\n\n{N[0]},A\n\n\n{N[1]},B\n\n"),
    text("title_above.csv", f"二月名单\n制表人：张三\nphone,name\n{N[0]},A\n{N[1]},B\n", back={1: "above_header", 2: "above_header"}),
    text("no_header.csv", f"{N[0]},A\n{N[1]},B\n", refused="header_without_number"),
    text("no_header_said.csv", f"{N[0]},A\n{N[1]},B\n", options={"has_header": False, "mapping": {"number": "column 1"}}),
    text("only_numbers.csv", f"{N[0]}\n{N[1]}\n", options={"has_header": False}),
    text("two_number_columns.csv", f"手机,电话\n{N[0]},{N[1]}\n", refused="header_ambiguous"),
    text("two_number_columns_said.csv", f"手机,电话\n{N[0]},{N[2]}\n{N[1]},\n", options={"mapping": {"number": "手机", "other_numbers": "电话"}}),
    text("same_header_twice.csv", f"phone,a,a\n{N[0]},1,2\n", refused="header_duplicate"),
    text("header_only.csv", "phone,name\n", taken=()),
    text("wide.csv", "phone," + ",".join(f"c{i}" for i in range(299)) + f"\n{N[0]}" + ",x" * 299 + f"\n{N[1]}" + "," * 299 + "\n"),
    text("too_wide.csv", "phone," + ",".join(f"c{i}" for i in range(600)) + "\n", refused="header_too_wide"),
    # quotes and cells
    text("stray_quote.csv", f'phone,name\n{N[0]},"A\n{N[1]},B\n{N[2]},C\n', taken=E[1:3], back={2: "quotes_broken"}),
    text("quote_inside.csv", f'phone,name\n{N[0]},5"x"\n{N[1]},"a"b"\n', taken=E[:1], back={3: "quotes_broken"}),
    text("lines_in_a_cell.csv", f'phone,note\n{N[0]},"a\nb\r\nc"\n{N[1]},"d""e"\n'),
    text("ten_megabytes_in_a_cell.csv", f"phone,note\n{N[0]},{'x' * 10_000_000}\n{N[1]},b\n", taken=E[1:2], back={2: "cell_too_long"}),
    text("ten_megabytes_in_quotes.csv", f'phone,note\n{N[0]},"{"x" * 10_000_000}\n{N[1]},b\n', taken=E[1:2], back={2: "cell_too_long"}),
    text("too_many_cells.csv", f"phone,name\n{N[0]},A,extra\n{N[1]},B,,\n", taken=E[1:2], back={2: "too_many_cells"}),
    text("too_few_cells.csv", f"name,phone,note\nA,{N[0]}\nB\nC,{N[1]},x\n", back={3: "number_empty"}),
    text("nul.csv", f"phone,name\n{N[0]},a\0b\n{N[1]},B\n", taken=E[1:2], back={2: "nul_character"}),
    text("formulas.csv", f'phone,name\n={N[0]},x\n"=cmd|\' /C calc\'!A0",y\n{N[0]},"=1+1"\n{N[1]},@SUM(A1)\n', back={2: "number_invalid", 3: "number_invalid"}),
    text("control_characters.csv", f"phone,name\n{N[0]},a\x08\x1b[31mb\n{N[1]},\u202eevil\n"),
    text("injection.csv", f"phone,name\n{N[0]},'); drop table leads;--\n{N[1]},${{EXEC(rm)}}\n"),
    # numbers
    text("as_written.csv", f"phone\n+86 138 1234-5671\n0086{N[1]}\n０{N[2]}\n\u202d{N[3]}\u202c\n", taken=E),
    text("cut_by_a_spreadsheet.csv", f"phone\n1.38E+10\n{N[0]}.0\n1.3812345672E+10\n", back={2: "number_rounded"}),
    text("several_numbers.csv", f"phone\n{N[0]}/{N[2]}\n{N[1]} 转 801\n{N[3]}/12\n", back={4: "number_invalid"}),
    text("never_dialled.csv", f"phone\n110\n120\n4008123456\n{N[0]}\n{N[1]}\n", back={2: "number_emergency", 3: "number_emergency", 4: "number_premium"}),
    text("twice.csv", f"phone\n{N[0]}\n+86{N[0]}\n{N[1]}\n", back={3: "duplicate_in_file"}),
    text("same_person.csv", f"id,phone\n7,{N[0]}\n7,{N[2]}\n8,{N[1]}\n,{N[3]}\n", taken=(*E[:2], E[3]), back={3: "reference_in_file"}, options={"unique_by": "id"}),
    # not what they say they are
    text("empty.csv", b"", refused="file_empty"),
    text("blank.csv", "\n \n\t\n", refused="header_broken"),
    text("web_page.xls", f"<html><table><tr><td>phone</td></tr><tr><td>{N[0]}</td></tr></table></html>", refused="format_unknown"),
    text("xml.xls", '<?xml version="1.0"?><Workbook/>', refused="format_unknown"),
    text("document.csv", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", refused="format_unknown"),
    text("archive.xlsx", zipped({"list.csv": GOOD.encode()}), refused="format_unknown"),
    text("csv_named.xlsx", GOOD),
    book("xlsx_named.csv", rows(["phone"], [N[0]], [N[1]])),
    # workbooks
    book("plain.xlsx", rows(["手机号", "姓名"], [N[0], "王芳"], [N[1], "李雷"], ["12", "x"]), back={4: "number_invalid"}),
    book("typed.xlsx", typed, back={4: "number_empty", 5: "number_invalid"}),
    book("titled.xlsx", titled, back={1: "above_header"}),
    book("merged.xlsx", merged, taken=E[:1], back={3: "number_empty"}),
    book("two_sheets.xlsx", lambda workbook: two_sheets(workbook, hide=False), refused="sheet_ambiguous"),
    book("two_sheets_said.xlsx", lambda workbook: two_sheets(workbook, hide=False), options={"sheet": "名单"}),
    book("hidden_sheet.xlsx", lambda workbook: two_sheets(workbook, hide=True)),
    book("no_such_sheet.xlsx", rows(["phone"], [N[0]]), options={"sheet": "名单"}, refused="sheet_unknown"),
    book("only_hidden.xlsx", charts_only, refused="file_empty"),
    book("wide.xlsx", rows(["phone", *(f"c{i}" for i in range(299))], [N[0], *["x"] * 299], [N[1]])),
    book("rounded.xlsx", rows(["phone", "card"], [N[0], 110101199003071234], [1.38e10 + 0.5, "x"], [N[1], ""]), back={3: "number_invalid"}),
    Hostile(name="old.xls", content=old_book, back={4: "number_invalid"}),
    Hostile(name="open.ods", content=lambda: ods(["phone", "name"], [N[0], "A"], [N[1], "B"])),
    Hostile(name="half.xlsx", content=lambda: book("", rows(["phone"], [N[0]])).content()[:-300], refused="file_broken"),
    Hostile(name="half.xls", content=lambda: old_book()[:2000], refused="file_broken"),
    Hostile(name="locked.xlsx", content=locked_book, refused="file_broken"),
    Hostile(name="broken_xml.xlsx", content=lambda: with_sheet_xml('<row r="1"><c r="A1"'), refused="file_broken"),
    Hostile(name="far_apart.xlsx", content=far_apart, refused="sheet_too_large"),
    Hostile(name="repeated.ods", content=lambda: ods(["phone"], [N[0]], repeat=('table:number-rows-repeated="1000000"', 'table:number-columns-repeated="16384"')), refused="sheet_too_large"),
    Hostile(name="bomb.xlsx", content=lambda: bomb(honest=True), refused="file_too_large_inside"),
    Hostile(name="lying_bomb.xlsx", content=lambda: bomb(honest=False), refused="file_broken"),
)  # fmt: skip
