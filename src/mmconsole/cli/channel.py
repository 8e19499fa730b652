"""`mmconsole channel`: make, archive, restore and list channels, and add users to them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from mmconsole.cli import completion, filters, output
from mmconsole.cli.run import run_core
from mmconsole.cli.sync import names_in
from mmconsole.errors import UsageError

if TYPE_CHECKING:
    from mmconsole.cli.loop import Interrupts
    from mmconsole.core import Core
    from mmconsole.domain.channels import ChannelChange

ADD_EXAMPLES: Final = """\b
Examples:
  mmconsole channel add main/bridge 17 ann@example.org
  mmconsole channel add bridge --from list.txt --dry-run
  mmconsole channel add bridge --filter 'status:ok locale:de'
  mmconsole channel add main/board ann@example.org --as-admin

A channel is named as team/channel, by its id or by its link; without a team it is looked for in the configured ones.
Each user joins with their own token, or with the administrator's where none is stored (`tokens.fallback_to_admin`).

Exit codes: 0 done, 1 failed, 2 usage, 3 some were refused or failed,
75 another run is at work, 130 interrupted.
"""
CREATE_EXAMPLES: Final = """\b
Examples:
  mmconsole channel create Bridge                  in the configured team
  mmconsole channel create 'Board talk' --team staff --private
  mmconsole channel create Bridge --restore        if it is in the archive
  mmconsole channel create --project 7             as the projects table says
  mmconsole channel create --project 7 --name Bridge --team main
  mmconsole channel create --projects --dry-run    all that are not archived

A project has one channel, however often it is asked for. One that was archived with its project is restored.

Exit codes: 0 done, 1 failed, 2 usage, 3 some were refused or failed,
75 another run is at work, 130 interrupted.
"""
ARCHIVE_EXAMPLES: Final = """\b
Examples:
  mmconsole channel archive main/bridge
  mmconsole channel archive bridge tunnel --yes
  mmconsole channel archive --project 7
  mmconsole channel archive --projects --dry-run    all that are archived

Archiving deletes a channel's webhooks for good. The guard counts it; what it stops passes with --allow-removals N.

Exit codes: 0 done, 1 failed, 2 usage, 3 some were refused or failed,
4 the guard stopped it, 75 another run is at work, 130 interrupted.
"""
RESTORE_EXAMPLES: Final = """\b
Examples:
  mmconsole channel restore main/bridge
"""
LIST_EXAMPLES: Final = """\b
Examples:
  mmconsole channel list
  mmconsole channel list --team staff --archived
  mmconsole channel list --json | jq -r 'select(.private) | .channel'

Off a terminal it prints one line per channel with tabs: channel, public or private, the name for people, id.
"""

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
_Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
_Wait = Annotated[bool, typer.Option("--wait", help="Wait for another run to end.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan and do nothing.")]
_ADDRESS: Final = "As team/channel, by id or by link."
_Project = Annotated[str | None, typer.Option(metavar="ID", help="The channel of this project.")]
_Projects = Annotated[bool, typer.Option("--projects", help="The channels of all projects that ask for it.")]


def app() -> typer.Typer:
    group = typer.Typer(rich_markup_mode=None, help="Make, archive and list channels, and add users to them.")
    group.command("add", epilog=ADD_EXAMPLES)(add)
    group.command("create", epilog=CREATE_EXAMPLES)(create)
    group.command("archive", epilog=ARCHIVE_EXAMPLES)(archive)
    group.command("restore", epilog=RESTORE_EXAMPLES)(restore)
    group.command("list", epilog=LIST_EXAMPLES)(list_channels)
    return group


# ── users ────────────────────────────────────────────────────────────────────────────────────────


def add(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    *,
    channel: Annotated[
        str,
        typer.Argument(metavar="CHANNEL", help=_ADDRESS, autocompletion=completion.channels),
    ],
    users: Annotated[
        list[str] | None,
        typer.Argument(metavar="USER", help="Users by id, e-mail or username.", autocompletion=completion.users),
    ] = None,
    listed: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Users from a file, one per line; - is stdin.")
    ] = None,
    filter_text: filters.Wanted = None,
    as_admin: Annotated[
        bool, typer.Option("--as-admin", help="With the administrator's token; private channels need it.")
    ] = False,
    dry_run: _DryRun = False,
    wait: _Wait = False,
    yes: _Yes = False,
    json: _Json = False,
) -> None:
    """Add users to a channel."""
    if (filter_text is not None) + bool(users or listed) != 1:
        raise UsageError(why="Say whom: users by id, e-mail or username, --from a file, or --filter.")
    names = (*(users or ()), *(names_in(listed) if listed else ()))
    if listed and not names:
        raise UsageError(why=f"{listed} names no user.")
    wanted = None if filter_text is None else filters.read(filter_text)
    from mmconsole.cli import channel_running as running  # noqa: PLC0415 - help needs no services
    from mmconsole.cli import channel_summary as summary  # noqa: PLC0415

    addition = running.Addition(channel, names, wanted, as_admin)
    if dry_run:
        added = run_core(context, lambda core, _: running.plan_adding(core, addition))
        with output.reader():
            summary.show_plan_of_adding(added, json=json)
        return
    how, untyped = running.How(yes=yes, wait=wait), wanted is not None or listed is not None
    ending = run_core(context, lambda core, signals: running.add(core, addition, signals, how, listed=untyped))
    with output.reader():
        summary.show_added(ending, json=json)
    raise typer.Exit(summary.exit_code_of(ending))


# ── making ───────────────────────────────────────────────────────────────────────────────────────


def create(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    *,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="As people shall see it.")] = None,
    team: Annotated[str | None, typer.Option(metavar="TEAM", help="As it stands in the team's address.")] = None,
    private: Annotated[bool, typer.Option("--private", help="Nobody can join it alone.")] = False,
    purpose: Annotated[str, typer.Option(metavar="TEXT", help="What it is for.")] = "",
    restore: Annotated[bool, typer.Option("--restore", help="If it is archived, take it out of the archive.")] = False,
    number: Annotated[bool, typer.Option("--number", help="If the name is taken, put a number behind it.")] = False,
    project: _Project = None,
    project_name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The project's name, if the table does not say it.")
    ] = None,
    projects: _Projects = False,
    dry_run: _DryRun = False,
    wait: _Wait = False,
    json: _Json = False,
) -> None:
    """Make a channel, or those of projects."""
    _demand_one(name is not None, project is not None, projects=projects, what="a NAME")
    _demand_for("--private, --purpose, --restore and --number", "a NAME", private, purpose, restore, number, ok=name)
    _demand_for("--name", "--project", project_name, ok=project)
    _demand_for("--team", "a NAME or --project", team, ok=name or project)
    _demand_for("--dry-run and --wait", "--projects", dry_run, wait, ok=projects)
    if restore and number:
        raise UsageError(why="Say only one of --restore and --number.")
    if projects:
        _follow(context, archived=False, dry_run=dry_run, wait=wait, yes=True, allow_removals=None, json=json)

    from mmconsole.domain.channels import OnTaken, ProjectId  # noqa: PLC0415 - help needs no transliteration tables

    async def work(core: "Core", _: "Interrupts") -> "ChannelChange":
        if project is not None:
            return await core.channels.create_for_project(ProjectId(project), name=project_name, team=team)
        on_taken = OnTaken.RESTORE if restore else OnTaken.NUMBER if number else OnTaken.REFUSE
        return await core.channels.create(name or "", team=team, private=private, purpose=purpose, on_taken=on_taken)

    _show_change(run_core(context, work), json=json)


def restore(
    context: typer.Context,
    *,
    channel: Annotated[
        str, typer.Argument(metavar="CHANNEL", help=_ADDRESS, autocompletion=completion.archived_channels)
    ],
    json: _Json = False,
) -> None:
    """Take a channel out of the archive."""

    async def work(core: "Core", _: "Interrupts") -> "ChannelChange":
        return await core.channels.restore(channel)

    _show_change(run_core(context, work), json=json)


# ── archiving ────────────────────────────────────────────────────────────────────────────────────


def archive(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    *,
    channels: Annotated[
        list[str] | None,
        typer.Argument(metavar="CHANNEL", help=_ADDRESS, autocompletion=completion.channels),
    ] = None,
    project: _Project = None,
    projects: _Projects = False,
    allow_removals: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Let exactly N removals pass the guard.")
    ] = None,
    dry_run: _DryRun = False,
    wait: _Wait = False,
    yes: _Yes = False,
    json: _Json = False,
) -> None:
    """Archive channels, or those of projects."""
    _demand_one(bool(channels), project is not None, projects=projects, what="channels")
    _demand_for("--dry-run", "channels or --projects", dry_run, ok=channels or projects)
    _demand_for("--wait", "--projects", wait, ok=projects)
    if projects:
        _follow(context, archived=True, dry_run=dry_run, wait=wait, yes=yes, allow_removals=allow_removals, json=json)
    elif project is not None:
        _archive_for_project(context, project, yes=yes, allow_removals=allow_removals, json=json)
    else:
        _archive(context, channels or [], dry_run=dry_run, yes=yes, allow_removals=allow_removals, json=json)


def _archive(  # noqa: PLR0913 - the options
    context: typer.Context, names: list[str], *, dry_run: bool, yes: bool, allow_removals: int | None, json: bool
) -> None:
    from mmconsole.cli import channel_running as running  # noqa: PLC0415 - help needs no services
    from mmconsole.cli import channel_summary as summary  # noqa: PLC0415

    if dry_run:
        plan = run_core(context, lambda core, _: core.channels.plan_archiving(names, allow_removals=allow_removals))
        with output.reader():
            summary.show_plan(plan, of="channel", json=json)
        return
    how = running.How(yes=yes, allow_removals=allow_removals)
    ending = run_core(context, lambda core, signals: running.archive(core, names, signals, how))
    with output.reader():
        summary.show_run(ending, of="channel", json=json)
    raise typer.Exit(summary.exit_code_of(ending))


def _archive_for_project(
    context: typer.Context, project: str, *, yes: bool, allow_removals: int | None, json: bool
) -> None:
    from mmconsole.cli import channel_running as running  # noqa: PLC0415 - help needs no services

    how = running.How(yes=yes, allow_removals=allow_removals)
    change = run_core(context, lambda core, signals: running.archive_for_project(core, project, signals, how))
    if change is not None:
        _show_change(change, json=json)
    elif json:
        output.write_json({"did": "unchanged", "channel": None})
    else:
        output.note(f"The project {output.visible(project)} has no channel, so there is nothing to archive.")


# ── all projects ─────────────────────────────────────────────────────────────────────────────────


def _follow(  # noqa: PLR0913 - the options
    context: typer.Context,
    *,
    archived: bool,
    dry_run: bool,
    wait: bool,
    yes: bool,
    allow_removals: int | None,
    json: bool,
) -> NoReturn:
    """Do what the rows of the projects table ask for that are archived, or that are not."""
    from mmconsole.cli import channel_running as running  # noqa: PLC0415 - help needs no services
    from mmconsole.cli import channel_summary as summary  # noqa: PLC0415

    if dry_run:
        plan = run_core(
            context, lambda core, _: core.channels.plan_projects(archived=archived, allow_removals=allow_removals)
        )
        with output.reader():
            summary.show_plan(plan, of="project", json=json)
        raise typer.Exit
    how = running.How(yes=yes, wait=wait, allow_removals=allow_removals)
    ending = run_core(context, lambda core, signals: running.follow_projects(core, signals, how, archived=archived))
    with output.reader():
        summary.show_run(ending, of="project", json=json)
    raise typer.Exit(summary.exit_code_of(ending))


# ── listing ──────────────────────────────────────────────────────────────────────────────────────


def list_channels(
    context: typer.Context,
    *,
    team: Annotated[str | None, typer.Option(metavar="TEAM", help="Of this team, not of the configured ones.")] = None,
    archived: Annotated[bool, typer.Option("--archived", help="Those in the archive instead.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """List the public and private channels of a team."""
    run_core(context, lambda core, _: _list(core, team, archived=archived, json=json))


async def _list(core: "Core", team: str | None, *, archived: bool, json: bool) -> None:
    from mmconsole.cli.channel_summary import document_of  # noqa: PLC0415 - help needs no services
    from mmconsole.cli.table import Table  # noqa: PLC0415

    table = None if json else Table("CHANNEL…", "TYPE", "NAME…", "ID", spare=("ID", "NAME"))
    with output.reader():
        async for channel in core.channels.list(team=team, archived=archived):
            if table is None:
                output.write_json(document_of(channel))
                continue
            kind = "public" if channel.public else "private"
            table.add(output.visible(channel.address), kind, output.visible(channel.display_name), channel.id)
        if table is not None:
            table.end("There is no such channel.")


# ── inside ───────────────────────────────────────────────────────────────────────────────────────


def _demand_one(*given: bool, projects: bool, what: str) -> None:
    if sum(given) + projects != 1:
        raise UsageError(why=f"Say which: {what}, --project ID, or --projects for all of the projects table.")


def _demand_for(options: str, of: str, *given: object, ok: object) -> None:
    """Raises UsageError for options that mean nothing here."""
    if any(given) and not ok:
        raise UsageError(why=f"{options} can only be said with {of}.")


def _show_change(change: "ChannelChange", *, json: bool) -> None:
    from mmconsole.cli.channel_summary import show_change  # noqa: PLC0415 - help needs no services

    show_change(change, json=json)
