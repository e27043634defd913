"""user: people who may log in."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import Annotated
from uuid import UUID

import typer

from dialer.cli.office import Office, actor, in_office, now, shown
from dialer.cli.output import Output
from dialer.db import audit_trail, identities
from dialer.domain.errors import BadRequest
from dialer.domain.roles import Role
from dialer.web.access import TOKEN_PREFIX, hash_of, new_secret
from dialer.web.users import routes

app = typer.Typer(no_args_is_help=True, help="People who may log in.")
PASSWORD_VARIABLE = "WAIHU_NEW_PASSWORD"  # noqa: S105  # a name
Generate = Annotated[bool, typer.Option("--generate", help="Make a password and show it once.")]
Login = Annotated[str, typer.Argument(help="Login name (or id) of the user.")]


def typed_password() -> str:
    """From a terminal, the variable or standard input. Never from an argument: arguments are seen by every user of the machine."""
    if given := os.environ.get(PASSWORD_VARIABLE):
        return given
    if sys.stdin.isatty():
        return str(typer.prompt("password", hide_input=True, confirmation_prompt=True))
    if line := sys.stdin.readline().rstrip("\n"):
        return line
    raise BadRequest(
        "password_missing",
        f"Give the password on standard input or in {PASSWORD_VARIABLE}, or let --generate make one.",
    )


@app.command("list")
def list_users(context: typer.Context) -> None:
    """Everybody who may log in."""
    output: Output = context.obj.output
    users = in_office(lambda office: office.all(routes.list_users))
    output.rows(
        [shown(user, "login", "display_name", "role", "disabled_at", "id") for user in users],
        empty="There is no user yet: waihu user create.",
    )


@app.command()
def create(
    context: typer.Context,
    login: Annotated[str, typer.Argument(help="Login name: letters, digits and . _ @ -")],
    role: Annotated[Role, typer.Option(help="What the person does.")],
    display_name: Annotated[str | None, typer.Option(help="Name on the screens.")] = None,
    generate: Generate = False,
) -> None:
    """A new user. The password comes from the terminal, standard input or WAIHU_NEW_PASSWORD."""
    output: Output = context.obj.output
    password = None if generate else typed_password()
    made = in_office(
        lambda office: office.do(
            routes.create_user,
            body={"login": login, "display_name": display_name or login, "role": role, "password": password},
        )
    )
    output.thing(
        shown(made.user, "id", "login", "display_name", "role") | ({"password": made.password} if made.password else {})
    )


@app.command()
def password(context: typer.Context, login: Login, generate: Generate = False) -> None:
    """A new password for somebody; ends their sessions."""
    output: Output = context.obj.output
    new = None if generate else typed_password()

    async def work(office: Office) -> str | None:
        user_id = await office.id_of("user", login)
        reset = await office.do(routes.reset_password, body={"password": new}, user_id=user_id)
        return None if reset.password is None else str(reset.password)

    made = in_office(work)
    output.done(f"new password: {made}" if made else "the password is set", **({"password": made} if made else {}))


@app.command()
def disable(
    context: typer.Context,
    login: Login,
    enable: Annotated[bool, typer.Option("--enable", help="The other way round.")] = False,
) -> None:
    """Somebody may not log in any more; ends their sessions."""
    output: Output = context.obj.output

    async def work(office: Office) -> None:
        await office.do(routes.change_user, body={"disabled": not enable}, user_id=await office.id_of("user", login))

    in_office(work)
    output.done(f"{login} may {'log in again' if enable else 'not log in any more'}")


@app.command()
def token(
    context: typer.Context,
    login: Login,
    name: Annotated[str, typer.Option(help="What it is for.")],
    days: Annotated[int, typer.Option(help="Days until it expires; 0: never.", min=0, max=3660)] = 90,
) -> None:
    """An API token that acts in a user's name; shown once."""
    output: Output = context.obj.output
    secret = TOKEN_PREFIX + new_secret()

    async def work(office: Office) -> UUID:
        at = now()
        user_id = await office.id_of("user", login)
        async with office.pool.acquire() as connection, connection.transaction():
            made = await identities.create_token(
                connection,
                user_id=user_id,
                name=name,
                token_hash=hash_of(secret),
                now=at,
                expires_at=at + timedelta(days=days) if days else None,
            )
            entry = audit_trail.Entry(
                at=at,
                user_id=None,
                actor=actor(),
                address=None,
                action="token_created",
                subject_type="token",
                subject_id=str(made.id),
                detail={"name": name, "of": login},
            )
            await audit_trail.write(connection, entry)
        return made.id

    made_id = in_office(work)
    output.thing({"id": made_id, "token": secret})
