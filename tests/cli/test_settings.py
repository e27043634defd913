"""Settings: read from the environment and a file, wrong values are named, and docs/settings.md says what is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from dialer.domain.errors import BadRequest
from dialer.settings import CONFIG_VARIABLE, PREFIX, Settings, load_settings

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


def default_text(name: str) -> str:
    """A default as the page writes it."""
    default = Settings.model_fields[name].default
    assert default is not PydanticUndefined, f"{name} has no default"
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if default is None or default in {"", ()}:
        return "empty"
    return f"`{default}`"


def test_every_setting_is_documented_with_its_default_and_nothing_else_is() -> None:
    rows = dict(re.findall(r"^\| `(WAIHU_[A-Z_]+)` \| ([^|]+?) \|", DOCS.read_text(), flags=re.MULTILINE))
    rows.pop(CONFIG_VARIABLE)
    assert rows == {PREFIX + name.upper(): default_text(name) for name in Settings.model_fields}


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_environment_wins_over_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "waihu.toml"
    file.write_text('node = "from-file"\nweb_port = 9000\n')
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    monkeypatch.setenv("WAIHU_WEB_PORT", "9001")
    settings = load_settings()
    assert (settings.node, settings.web_port) == ("from-file", 9001)


def test_every_wrong_value_is_named_and_no_value_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAIHU_WEB_PORT", "70000")
    monkeypatch.setenv("WAIHU_ZONE", "Mars/Olympus")
    monkeypatch.setenv("WAIHU_ENCODERS", "s3cret-typed-into-the-wrong-place")
    with pytest.raises(BadRequest) as caught:
        load_settings()
    assert caught.value.error_id == "settings_invalid"
    assert set(caught.value.detail["settings"]) == {"WAIHU_WEB_PORT", "WAIHU_ZONE", "WAIHU_ENCODERS"}  # type: ignore[call-overload]
    assert "s3cret" not in caught.value.message


@pytest.mark.parametrize(
    ("content", "error_id"),
    [(None, "config_file_missing"), ("node = ", "config_file_unreadable"), ('nod = "x"', "settings_invalid")],
)
def test_bad_config_file_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None, error_id: str
) -> None:
    file = tmp_path / "waihu.toml"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    with pytest.raises(BadRequest) as caught:
        load_settings()
    assert caught.value.error_id == error_id


def test_secrets_do_not_show_in_a_printed_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAIHU_AMI_SECRET", "swordfish")
    monkeypatch.setenv("WAIHU_DATABASE_URL", "postgresql://waihu:swordfish@db/waihu")
    assert "swordfish" not in repr(load_settings())
