"""What an installation decides: every setting, its default and its meaning.

Read from the environment (`WAIHU_` + the name in capitals), then from a TOML file (`WAIHU_CONFIG`, else /etc/waihu/waihu.toml when it is there).
docs/settings.md lists each of them; a test keeps that page true.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from dialer.domain.errors import BadRequest

PREFIX = "WAIHU_"
CONFIG_VARIABLE = "WAIHU_CONFIG"
DEFAULT_CONFIG = Path("/etc/waihu/waihu.toml")


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{name!r} is no time zone of the IANA database, for example Asia/Shanghai") from error
    return name


Port = Annotated[int, Field(ge=1, le=65535)]
Zone = Annotated[str, AfterValidator(_known_zone)]


class Settings(BaseSettings):
    """The settings of one process. Raises through `load_settings` only, with a sentence for each wrong value."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    # Where the facts live
    database_url: str = Field(
        default="postgresql://waihu@127.0.0.1:5432/waihu",
        repr=False,
        description="PostgreSQL, where everything is kept.",
    )
    database_pool_size: int = Field(
        default=10, ge=2, le=200, description="Most connections to PostgreSQL for one process."
    )
    redis_url: str = Field(
        default="redis://127.0.0.1:6379/0",
        repr=False,
        description="Redis, which only holds what may be lost. Empty: none, one process.",
    )

    # The Asterisk of this engine
    node: str = Field(
        default="node-1", pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Name of the Asterisk node this engine owns."
    )
    ami_host: str = Field(default="127.0.0.1", description="Host of Asterisk's manager interface (AMI).")
    ami_port: Port = Field(default=5038, description="Port of Asterisk's manager interface.")
    ami_user: str = Field(default="waihu", description="Manager user; its rights are in asterisk-conf/README.md.")
    ami_secret: SecretStr = Field(default=SecretStr(""), description="Secret of the manager user.")
    agi_host: str = Field(
        default="127.0.0.1", description="Address on which the engine answers Asterisk's FastAGI questions."
    )
    agi_port: Port = Field(
        default=4573, description="Port of the FastAGI server; the dialplan's WAIHU_AGI must name it."
    )
    cdr_file: Path = Field(
        default=Path("/var/log/asterisk/cdr-custom/calls.csv"),
        description="Call records Asterisk writes; read after a restart to close calls with the truth.",
    )
    prompts_dir: Path | None = Field(
        default=None,
        description="Where the prompts of messages and surveys lie, for `waihu doctor` and the check of surveys. Unset: not checked.",
    )

    lease_s: float = Field(
        default=3,
        ge=2,
        le=60,
        description="How long an engine may own its node without renewing the lease; so long a successor of a killed one waits at most.",
    )

    # Sound
    spool_dir: Path = Field(
        default=Path("/var/spool/asterisk/monitor/waihu"),
        description="Where Asterisk writes the two legs of a recording.",
    )
    store_dir: Path = Field(
        default=Path("/var/lib/waihu/recordings"), description="Where finished recordings are kept."
    )
    recording_encryption: bool = Field(
        default=True, description="Whether recordings are sealed (encrypted) in the store."
    )
    recording_keys: Path = Field(
        default=Path("/var/lib/waihu/recording.keys"),
        description="The file with the master keys of recordings, mode 600, apart from the store. The recorder makes it at its first start; keep a copy of it elsewhere.",
    )
    recording_keys_command: str = Field(
        default="",
        description="A command that prints the master keys, instead of the file: for a vault or a hardware module.",
    )
    archive_dir: Path = Field(
        default=Path("/var/lib/waihu/archive"),
        description="Where archive volumes are built; holds the key that signs them. Needs room for a medium or two.",
    )
    archive_keys: Path = Field(
        default=Path("/var/lib/waihu/archive.keys"),
        description="The file that opens sealed recordings which only archive discs have, and knows what of them was erased; worthless without the master keys. The first run of the archive makes it; keep a copy of it elsewhere, and replace that after deletions. All that delete recordings share it.",
    )
    archive_drive: str = Field(
        default="",
        description="The burner for archive discs, for example /dev/sr0. Empty: none; `stdio:/path/{name}.iso` writes files instead.",
    )
    store_low_days: float = Field(
        default=3,
        ge=0,
        le=365,
        description="Days the store lasts below which files that enough verified discs have leave it, until it lasts twice as long. 0: never by itself.",
    )
    encoders: int = Field(default=1, ge=1, le=64, description="Processes that encode recordings.")

    # Faces
    web_host: str = Field(default="127.0.0.1", description="Address of the HTTP API.")
    web_port: Port = Field(default=8080, description="Port of the HTTP API.")
    public_url: str = Field(
        default="",
        description="URL at which people reach the API, when a proxy stands before it. https here makes session cookies secure.",
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(), description="Addresses of proxies whose X-Forwarded-For is believed."
    )
    accel_prefix: str = Field(
        default="",
        pattern=r"^(/[A-Za-z0-9._~-]+)*/?$",
        description="Internal location of an nginx in front that serves the store (X-Accel-Redirect), for recordings that are not sealed. Empty: not used.",
    )
    heard_in_memory_mib: int = Field(
        default=128,
        ge=0,
        description="Sound that was heard last is kept in memory, opened, for half a minute, so that jumps in it cost neither disk nor cipher: so many MiB at most. 0: none.",
    )
    control_host: str = Field(
        default="127.0.0.1", description="Address on which the engine takes commands from separate web processes."
    )
    control_port: Port = Field(default=8081, description="Port of the engine's control interface.")
    control_token: SecretStr = Field(
        default=SecretStr(""), description="Shared secret of engine and web processes. Needed when they run apart."
    )

    # Work
    zone: Zone = Field(
        default="Asia/Shanghai", description="Time zone of the business: days of the recording store, reports."
    )
    project_sign_offs: bool = Field(
        default=False, description="Whether new projects go through a trial and signatures, unless they say otherwise."
    )
    caller_number_rest_h: float = Field(
        default=24,
        ge=0,
        le=720,
        description="How many hours a caller number rests by itself when it does clearly worse than the others of its trunk. 0: it only raises an alarm.",
    )
    number_label_url: str = Field(
        default="",
        description="Address of a label service (号码标记) that is asked once a day about each caller number; docs/caller-numbers.md says what it answers. Empty: none.",
    )
    number_label_token: SecretStr = Field(default=SecretStr(""), description="Bearer token for the label service.")
    region: str = Field(default="CN", pattern=r"^[A-Z]{2}$", description="Country in which numbers without + are read.")
    work_dir: Path = Field(default=Path("/var/lib/waihu/work"), description="Uploads and reject files of imports.")
    reject_days: int = Field(
        default=30,
        ge=1,
        le=3650,
        description="How many days the reject file of an import is kept: people's numbers stand in it.",
    )
    drain_s: float = Field(
        default=20,
        ge=0,
        le=600,
        description="How long an orderly stop waits for what is in hand. Conversations go on without us.",
    )

    # Words about it
    log_format: Literal["json", "console"] = Field(
        default="json", description="`json` for machines, `console` for people."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is written."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the file. No .env file: what a process reads should be seen in one place."""
        del dotenv_settings, file_secret_settings
        path = config_file()
        return (
            (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=path))
            if path
            else (init_settings, env_settings)
        )

    @property
    def business_zone(self) -> ZoneInfo:
        """`zone`, ready to use."""
        return ZoneInfo(self.zone)

    @property
    def host_name(self) -> str:
        """This machine's name, for leases and logs."""
        return socket.gethostname()

    @property
    def control_url(self) -> str:
        """Where this engine takes commands."""
        return f"http://{self.control_host}:{self.control_port}"

    @property
    def web_url(self) -> str:
        """Where people reach the API."""
        return self.public_url.rstrip("/") or f"http://{self.web_host}:{self.web_port}"


def config_file() -> Path | None:
    """The TOML file that is read, if any. A file that was named must be there."""
    named = os.environ.get(CONFIG_VARIABLE, "")
    if named:
        path = Path(named)
        if not path.is_file():
            raise BadRequest(
                "config_file_missing",
                f"{CONFIG_VARIABLE} names {path}, which is not there. Correct the path or unset the variable.",
                path=str(path),
            )
        return path
    return DEFAULT_CONFIG if DEFAULT_CONFIG.is_file() else None


def load_settings() -> Settings:
    """The settings of this process. BadRequest `settings_invalid` names every wrong value and what is expected; values are not repeated (secrets)."""
    path = config_file()
    try:
        return Settings()
    except ValidationError as error:
        wrong = {
            PREFIX + "_".join(str(part) for part in problem["loc"]).upper(): problem["msg"]
            for problem in error.errors(include_input=False)
        }
        listed = "; ".join(f"{name}: {message}" for name, message in wrong.items())
        raise BadRequest(
            "settings_invalid", f"Settings cannot be used: {listed}. See docs/settings.md.", settings=wrong
        ) from error
    except ValueError as error:  # a TOML file that is no TOML
        raise BadRequest("config_file_unreadable", f"{path} cannot be read as TOML: {error}", path=str(path)) from error
