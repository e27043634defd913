"""agent: the people who take the calls, and their devices."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from dialer.cli.office import Office, in_office, shown, uuid_of
from dialer.cli.output import Output
from dialer.cli.users import typed_password
from dialer.domain.roles import Role
from dialer.web.agents import routes
from dialer.web.deps import utc_now
from dialer.web.desk import routes as desk
from dialer.web.devices import routes as devices
from dialer.web.users import routes as users

app = typer.Typer(no_args_is_help=True, help="The people who take the calls, and their devices.")
Number = Annotated[str, typer.Argument(help="工号 (or id) of the agent.")]
_COLUMNS = ("number", "display_name", "skills", "id", "user_id")


@app.command("list")
def list_agents(
    context: typer.Context, project: Annotated[str | None, typer.Option(help="Only those of this project.")] = None
) -> None:
    """All agents."""
    output: Output = context.obj.output

    async def work(office: Office) -> list[Any]:
        return await office.all(
            routes.list_agents, query={"project_id": await office.id_of("project", project) if project else None}
        )

    output.rows(
        [shown(agent, *_COLUMNS) for agent in in_office(work)], empty="There is no agent yet: waihu agent create."
    )


@app.command()
def create(
    context: typer.Context,
    number: Annotated[str, typer.Argument(help="工号: letters, digits, _ and -.")],
    login: Annotated[str, typer.Option(help="Login name of the user; is created with role agent when there is none.")],
    display_name: Annotated[str | None, typer.Option(help="Name on the screens.")] = None,
    skill: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    generate: Annotated[
        bool, typer.Option("--generate", help="For a new user: make a password and show it once.")
    ] = False,
) -> None:
    """A new agent. A new user's password comes from the terminal, standard input or WAIHU_NEW_PASSWORD."""
    output: Output = context.obj.output
    name = display_name or login

    async def known(office: Office) -> Any:
        return await office.pool.fetchval("select id from users where lower(login) = lower($1)", login)

    user_id = in_office(known)
    password = None if user_id or generate else typed_password()

    async def work(office: Office) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        owner = user_id
        if owner is None:
            made = await office.do(
                users.create_user, body={"login": login, "display_name": name, "role": Role.AGENT, "password": password}
            )
            owner = made.user.id
            answer = {"login": login} | ({"password": made.password} if made.password else {})
        agent = await office.do(
            routes.create_agent, body={"user_id": owner, "number": number, "display_name": name, "skills": skill or []}
        )
        return shown(agent, *_COLUMNS) | answer

    output.thing(in_office(work))


@app.command("devices")
def list_devices(context: typer.Context, number: Number) -> None:
    """The softphones and browser phones of an agent."""
    output: Output = context.obj.output

    async def work(office: Office) -> list[Any]:
        return await office.all(devices.list_devices, agent_id=await office.id_of("agent", number))

    output.rows([shown(device) for device in in_office(work)], empty="No device yet: waihu agent device.")


@app.command()
def device(
    context: typer.Context,
    number: Number,
    webrtc: Annotated[bool, typer.Option("--webrtc", help="For the browser instead of a softphone.")] = False,
    node: Annotated[str | None, typer.Option(help="The Asterisk node it registers at; default: this one.")] = None,
) -> None:
    """A new device; its secret is shown once."""
    output: Output = context.obj.output

    async def work(office: Office) -> Any:
        wanted = {"node": node or office.settings.node, "kind": "webrtc" if webrtc else "softphone"}
        await office.pool.execute("insert into nodes (name) values ($1) on conflict do nothing", wanted["node"])
        return await office.do(devices.create_device, body=wanted, agent_id=await office.id_of("agent", number))

    _show_secret(output, in_office(work))


@app.command()
def rotate(
    context: typer.Context, device_id: Annotated[str, typer.Argument(help="Id of the device (waihu agent devices).")]
) -> None:
    """A new secret for a device, shown once; the old one is worth nothing at the next registration."""
    output: Output = context.obj.output
    wanted = uuid_of(device_id, "a device")
    _show_secret(output, in_office(lambda office: office.do(devices.rotate_device, device_id=wanted)))


@app.command("remove-device")
def remove_device(context: typer.Context, device_id: Annotated[str, typer.Argument(help="Id of the device.")]) -> None:
    """It may not register any more."""
    output: Output = context.obj.output
    wanted = uuid_of(device_id, "a device")
    in_office(lambda office: office.do(devices.remove_device, device_id=wanted))
    output.done("the device may not register any more")


@app.command()
def leaves(
    context: typer.Context,
    number: Number,
    at: Annotated[
        str | None, typer.Option(help="When: 2026-11-25T12:00, in the business's time zone unless it names one.")
    ] = None,
    logout: Annotated[bool, typer.Option("--logout", help="The shift ends; else a break.")] = False,
    reason: Annotated[str, typer.Option(help="Of a break: lunch, meeting ...")] = "",
    clear: Annotated[bool, typer.Option("--clear", help="Take back what was said before.")] = False,
) -> None:
    """Say ahead when an agent is going to leave, one time more. Neither --at nor --clear: show what was said."""
    output: Output = context.obj.output

    async def work(office: Office) -> list[dict[str, Any]]:
        agent_id = await office.id_of("agent", number)
        said = await office.do(desk.get_departures, agent_id=agent_id)
        wanted = [] if clear else [one.model_dump() for one in said.departures if one.at > utc_now()]
        if at is not None:
            to = "logged_out" if logout else "break"
            wanted.append({"at": _moment(at, office.settings.zone), "to": to, "reason": reason})
        if clear or at is not None:
            said = await office.do(desk.put_departures, body={"departures": wanted}, agent_id=agent_id)
        return [shown(one) for one in said.departures]

    output.rows(in_office(work), empty="Nothing was said: the agent stays.")


def _moment(text: str, zone: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("Write a time as 2026-11-25T12:00.", param_hint="--at") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))


def _show_secret(output: Output, made: Any) -> None:
    output.thing(
        shown(made.device, "id", "username", "node", "kind")
        | {"secret": made.secret, "realm": made.realm, "can_register_now": made.provisioned}
    )
