"""The doctor's look at the server: whether it can be worked with, and what a run will cause there."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from mmconsole.domain.accounts import ServerFacts
from mmconsole.domain.findings import Sheet
from mmconsole.errors import AdminTokenTooWeak, DatabaseError, MattermostError, NotFound, TeamUnknown, TokensSwitchedOff
from mmconsole.mattermost.certificate import certificate_ends_at
from mmconsole.services.doctor.examination import Examination

if TYPE_CHECKING:
    from mmconsole.mattermost.client import MattermostClient

NAMES: Final = (
    *("reachable", "encrypted", "version", "admin token", "administrator", "bot", "access tokens"),
    *("token lifetime", "e-mails", "user limit", "teams", "rate limit", "clock"),
)
_OLDEST: Final = (10, 11, 0)
"""The oldest release that Mattermost itself still looks after."""
_CERTIFICATE_LEFT: Final = timedelta(days=14)
_CLOCK_APART: Final = 30.0
"""Seconds. Links live for a minute, so more than half of that is felt."""
_FEW_CALLS: Final = 50
"""A second. A first sync makes five calls for each user."""


async def look(examination: Examination, sheet: Sheet) -> None:
    seconds = await _reached(examination, sheet)
    sheet.yes("reachable", f"{examination.settings.server} answers in {seconds * 1000:.0f} ms.")
    await _look_at_certificate(examination, sheet)
    _look_at_clock(examination, await examination.client(), sheet)
    # Without an administrator the server says little, and which of it is left out depends on its release.
    await _look_at_administrator(examination, sheet)
    facts = await examination.facts()
    for judge in _JUDGES:
        judge(facts, examination, sheet)
    await _look_at_room(examination, facts, sheet)


async def _reached(examination: Examination, sheet: Sheet) -> float:
    try:
        return await examination.answered_in()
    except MattermostError as fault:
        sheet.fault("reachable", fault)
        raise


async def _look_at_certificate(examination: Examination, sheet: Sheet) -> None:
    server = examination.settings.server
    if not server.startswith("https:"):
        sheet.yes("encrypted", "It is not, and need not be: the server is this machine, or the settings allow it.")
        return
    ends_at = await certificate_ends_at(server)
    if ends_at - examination.now() < _CERTIFICATE_LEFT:
        sheet.no("encrypted", f"The certificate ends on {ends_at:%Y-%m-%d}.", "Renew it.", advice=True)
    else:
        sheet.yes("encrypted", f"The certificate can be trusted until {ends_at:%Y-%m-%d}.")


def _look_at_clock(examination: Examination, client: "MattermostClient", sheet: Sheet) -> None:
    apart = client.server_time_ms() / 1000 - examination.now().timestamp()
    if abs(apart) <= _CLOCK_APART:
        sheet.yes("clock", "The server's clock and this machine's agree.")
        return
    way = "ahead of" if apart > 0 else "behind"
    cure = "Let both follow a time server (timedatectl set-ntp true)."
    sheet.no("clock", f"The server's clock is {abs(apart):.0f} s {way} this machine's.", cure)


async def _look_at_administrator(examination: Examination, sheet: Sheet) -> None:
    """Raises what keeps the token from being used; its own finding is written then."""
    await examination.token()
    client = await examination.client()
    try:
        me = await client.whoami()
    except MattermostError as fault:
        sheet.fault("admin token", fault)
        raise
    sheet.yes("admin token", f"The server accepts it as @{me.username}.")
    if "system_admin" not in me.roles.split():
        weak = AdminTokenTooWeak(username=f"@{me.username}", server=examination.settings.server)
        sheet.fault("administrator", weak)
        raise weak
    sheet.yes("administrator", f"@{me.username} is a system administrator.")
    if me.is_bot:
        sheet.yes("bot", "It is a bot: its token goes on working when people's tokens are switched off.")
    else:
        why = "It is a person's: it dies when personal access tokens are switched off, and cannot say so."
        sheet.no("bot", why, "Make a bot with the role system_admin and store its token.", advice=True)


def _judge_version(facts: ServerFacts, _: Examination, sheet: Sheet) -> None:
    version = ".".join(map(str, facts.version))
    if facts.version < _OLDEST:
        why = f"Mattermost {version} gets no security fixes any more."
        sheet.no("version", why, "Update it; mmconsole was tried with 11.6.", advice=True)
    else:
        can = "tokens can have an end" if facts.tokens_expire else "tokens have no end before 11.9"
        sheet.yes("version", f"Mattermost {version}: {can}.")


def _judge_switch(facts: ServerFacts, examination: Examination, sheet: Sheet) -> None:
    if facts.tokens_enabled is False:
        sheet.fault("access tokens", TokensSwitchedOff(server=examination.settings.server))
    elif facts.tokens_enabled is None:
        sheet.unknown("access tokens", "The server does not say whether they are switched on.")
    else:
        sheet.yes("access tokens", "Personal access tokens are switched on.")


def _judge_lifetime(facts: ServerFacts, examination: Examination, sheet: Sheet) -> None:
    wanted, at_most = examination.settings.values.tokens.lifetime, facts.max_token_days
    if wanted and not facts.tokens_expire:
        why = f"`tokens.lifetime` is {wanted.days} days, and this server keeps tokens for ever."
        sheet.no("token lifetime", why, "Rotate them: `mmconsole tokens rotate`.", advice=True)
    elif wanted and at_most and wanted > timedelta(days=at_most):
        why = f"`tokens.lifetime` is {wanted.days} days, and the server allows {at_most}."
        sheet.no("token lifetime", why, f"Set `tokens.lifetime: {at_most - 1}d`.", advice=True)
    else:
        limit = f"The server allows {at_most} days" if at_most else "The server sets no limit"
        sheet.yes("token lifetime", f"{limit}, and the settings ask for no more.")


def _judge_mails(facts: ServerFacts, _: Examination, sheet: Sheet) -> None:
    if facts.mails_tokens:
        why = f"Each new token makes the server mail its owner ({facts.smtp_host}:{facts.smtp_port})."
        cure = "`mmconsole sync --all --dry-run` says how many; `sync.max_mails` limits them."
        sheet.no("e-mails", why, cure, advice=True)
    else:
        sheet.yes("e-mails", "The server has no mail server to send through, so new tokens cause no mails.")


def _judge_rate(facts: ServerFacts, _: Examination, sheet: Sheet) -> None:
    rate = facts.calls_per_second
    if rate is None:
        sheet.unknown("rate limit", "This administrator is not told.", advice=True)
    elif 0 < rate < _FEW_CALLS:
        why = f"The server allows {rate} calls a second, so a first sync takes {5 / rate:.1f} s for each user."
        sheet.no("rate limit", why, "Raise RateLimitSettings.PerSec, or be patient.", advice=True)
    else:
        sheet.yes("rate limit", f"The server allows {rate} calls a second." if rate else "The server sets none.")


_JUDGES: Final[tuple[Callable[[ServerFacts, Examination, Sheet], None], ...]] = (
    *(_judge_version, _judge_switch, _judge_lifetime, _judge_mails, _judge_rate),
)


async def _look_at_room(examination: Examination, facts: ServerFacts, sheet: Sheet) -> None:
    await _look_at_user_limit(examination, sheet)
    await _look_at_teams(examination, facts, sheet)


async def _look_at_user_limit(examination: Examination, sheet: Sheet) -> None:
    client = await examination.client()
    try:
        limits = await client.user_limits()
    except MattermostError:
        sheet.unknown("user limit", "The server does not tell.", advice=True)
        return
    cure = "Deactivate accounts or extend the licence."
    if limits.room is None:
        sheet.yes("user limit", f"Active users: {limits.active:,}, and no limit.")
    elif not limits.room:
        why = f"Active users: {limits.active:,}, and the server takes no more than {limits.at_most:,}."
        sheet.no("user limit", why, cure)
    elif (waiting := await _without_account(examination)) > limits.room:
        why = f"Active users: {limits.active:,} of {limits.at_most:,}, and {waiting:,} more have no account yet."
        sheet.no("user limit", why, cure, advice=True)
    else:
        sheet.yes("user limit", f"Active users: {limits.active:,} of {limits.at_most:,}, and room for all yours.")


async def _without_account(examination: Examination) -> int:
    """How many users may want one; 0 while the database does not tell."""
    try:
        database = await examination.database()
    except DatabaseError:
        return 0
    return await database.read(lambda db: db.roster.count_unlinked())


async def _look_at_teams(examination: Examination, facts: ServerFacts, sheet: Sheet) -> None:
    names = examination.settings.values.sync.teams
    if not names:
        why = "`sync.teams` is empty: new accounts are in no team and see nothing."
        sheet.no("teams", why, "Set `sync.teams` to the teams everybody joins.", advice=True)
        return
    client, told = await examination.client(), []
    for name in names:
        try:
            team = await client.team_by_name(name)
        except NotFound:
            sheet.fault("teams", TeamUnknown(name=name, server=examination.settings.server))
            return
        size, room = await client.team_size(team.id), facts.max_users_per_team
        if room and size >= room:
            cure = "Raise MaxUsersPerTeam in System Console > Users and Teams."
            sheet.no("teams", f"The team {name} is full: {size:,} members of {room:,}.", cure)
            return
        told.append(f"{name} ({size:,} of {room:,})" if room else f"{name} ({size:,})")
    sheet.yes("teams", f"There is room in the teams, by their members: {', '.join(told)}.")
