"""Bring a database to the structure this program expects: yoyo runs `migrations/*.sql` in the order of their names.

A migration is never changed after a release. A file may begin with yoyo's directives (`-- depends: ...`, `-- transactional: false`).
Several processes may start at once: they queue at an advisory lock, which the server gives back when its holder dies.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import yoyo

from dialer.domain.errors import BadRequest, Unavailable, WaihuError

LOCK_KEY = 0x5741_4948_55  # "WAIHU"
_MINIMUM_SERVER = 140000


class MigrationFailed(WaihuError):
    """A migration was refused by the database; what it did was rolled back."""


def migrate(url: str, *, lock_timeout_s: float = 60.0) -> list[str]:
    """Apply what is missing and say which; an empty list when the database is up to date.

    `url` is `postgresql://user:password@host:port/name`. Blocks: call it before the event loop runs, or in a thread.
    Errors: BadRequest `database_url_invalid`, `postgresql_too_old`; Unavailable `database_unreachable`, `migration_locked`; MigrationFailed `migration_failed`.
    """
    with _locked(url, lock_timeout_s), _opened(url) as (backend, migrations):
        waiting = backend.to_apply(migrations)
        applied: list[str] = []
        for migration in waiting:
            try:
                backend.apply_one(migration)
            except psycopg.Error as error:
                raise MigrationFailed(
                    "migration_failed",
                    f"Migration {migration.id} was refused by the database and rolled back: {_first_line(error)}",
                    migration=migration.id,
                ) from error
            applied.append(migration.id)
        return applied


def pending(url: str) -> list[str]:
    """The migrations that this program has and the database has not. Changes nothing but yoyo's own tables."""
    with _locked(url, 5.0), _opened(url) as (backend, migrations):
        return [migration.id for migration in backend.to_apply(migrations)]


@contextmanager
def _opened(url: str) -> Iterator[tuple[Any, Any]]:
    parts = urlsplit(url)
    backend = yoyo.get_backend(urlunsplit(parts._replace(scheme="postgresql+psycopg")))
    try:
        with as_file(files("dialer.db") / "migrations") as folder:
            yield backend, yoyo.read_migrations(str(folder))
    finally:
        backend.connection.close()


@contextmanager
def _locked(url: str, lock_timeout_s: float) -> Iterator[None]:
    if urlsplit(url).scheme not in {"postgresql", "postgres"}:
        raise BadRequest(
            "database_url_invalid", "The database URL must look like postgresql://user:password@host:port/name."
        )
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=10, application_name="waihu migrate")
    except psycopg.Error as error:
        raise Unavailable(
            "database_unreachable",
            f"PostgreSQL does not answer; check that it runs and that the URL is right: {_first_line(error)}",
        ) from error
    with connection:
        if connection.info.server_version < _MINIMUM_SERVER:
            raise BadRequest(
                "postgresql_too_old", "PostgreSQL 14 or newer is needed.", version=connection.info.server_version
            )
        connection.execute("select set_config('lock_timeout', %s, false)", (f"{int(lock_timeout_s * 1000)}ms",))
        try:
            connection.execute("select pg_advisory_lock(%s)", (LOCK_KEY,))
        except psycopg.errors.LockNotAvailable as error:
            raise Unavailable(
                "migration_locked", "Another process is migrating this database; try again when it is done."
            ) from error
        yield


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
