"""asterisk-conf/README.md is the contract: what the configuration has, the page has, and the reverse."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.asterisk_container import CHECKOUT

CONF = CHECKOUT / "asterisk-conf"
PAGE = (CONF / "README.md").read_text(encoding="utf-8")
DIALPLAN = {path.name: path.read_text(encoding="utf-8") for path in sorted((CONF / "dialplan").glob("*.conf"))}
SITE = (CHECKOUT / "dialer" / "asterisk" / "site.py").read_text(encoding="utf-8")


def code_of(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(";"))


def test_every_context_is_on_the_page() -> None:
    contexts = {name for text in DIALPLAN.values() for name in re.findall(r"^\[([\w-]+)\]", text, re.MULTILINE)}
    assert contexts == set(re.findall(r"`(waihu-[a-z-]+)`", section("## Contexts")))


def test_every_variable_is_on_the_page() -> None:
    used = {name for text in DIALPLAN.values() for name in re.findall(r"WAIHU_[A-Z_]+", text)}
    used |= set(re.findall(r"WAIHU_[A-Z_]+", SITE))
    assert used == set(re.findall(r"WAIHU_[A-Z_]+", section("## Variables")))


def test_every_agi_route_is_on_the_page() -> None:
    asked = {route for text in DIALPLAN.values() for route in re.findall(r"AGI\(\$\{WAIHU_AGI\}(/[a-z/]+)[,)]", text)}
    assert asked == set(re.findall(r"^\| `(/[a-z/]+)`", section("## AGI routes"), re.MULTILINE))


def test_every_user_event_is_on_the_page() -> None:
    raised = {name for text in DIALPLAN.values() for name in re.findall(r"UserEvent\((\w+)", code_of(text))}
    assert raised == set(re.findall(r"^\| `(\w+)`", section("## User events"), re.MULTILINE))


def test_events_of_the_filter_are_those_on_the_page() -> None:
    allowed = re.findall(r"name\((\w+)\)", (CONF / "manager.conf").read_text(encoding="utf-8"))
    told = re.search(r"Events let through: ([\w, ]+)\.", PAGE)
    assert told is not None
    assert sorted(allowed) == sorted(told[1].split(", "))


def test_call_record_has_the_columns_of_the_page() -> None:
    mapping = (CONF / "cdr_custom.conf").read_text(encoding="utf-8")
    written = [name.partition(",")[0] for name in re.findall(r"CDR\(([\w,]+)\)", mapping)]
    told = [
        name.strip()
        for cell in re.findall(r"^\| ([a-z_, ]+) \|", section("## Call records"), re.MULTILINE)
        for name in cell.split(",")
    ]
    assert [name for name in told if name != "column"] == written


def test_every_dialplan_file_is_included() -> None:
    included = re.findall(r"#include dialplan/([\w.-]+)", (CONF / "extensions.conf").read_text(encoding="utf-8"))
    assert sorted(included) == sorted(DIALPLAN)


@pytest.mark.parametrize("name", DIALPLAN)
def test_every_dialplan_file_opens_by_saying_what_it_is(name: str) -> None:
    assert DIALPLAN[name].startswith("; ")


def test_every_included_site_file_is_rendered() -> None:
    included = {
        name
        for path in CONF.glob("*.conf")
        for name in re.findall(r"#include site/([\w.-]+)", path.read_text(encoding="utf-8"))
    }
    assert included == set(re.findall(r'"([a-z]+\.conf)": ', SITE))


def test_no_secret_lies_in_the_static_part() -> None:
    for path in CONF.rglob("*.conf"):
        if path.parent.name != "site":
            assert not re.search(r"^\s*(secret|password|md5_cred)\s*=", path.read_text(encoding="utf-8"), re.MULTILINE)


def test_site_directory_holds_nothing_that_is_committed_but_its_page() -> None:
    assert (CONF / "site" / ".gitignore").read_text(encoding="utf-8").splitlines()[0] == "*"


def section(title: str) -> str:
    begin = PAGE.index(title + "\n")
    end = PAGE.find("\n## ", begin + 1)
    return PAGE[begin : end if end > 0 else None]


def test_modules_that_are_listed_are_commented_by_subject() -> None:
    text = Path(CONF / "modules.conf").read_text(encoding="utf-8")
    assert "autoload = no" in text
    for risky in (
        "app_system",
        "func_shell",
        "func_env",
        "func_curl",
        "app_exec",
        "app_originate",
        "res_ari",
        "pbx_spool",
        "app_externalivr",
    ):
        assert f"load = {risky}" not in text
