"""Every error of mmconsole, drawn as a tree.

    MmconsoleError                      1
    ├── UsageError                      2
    │   ├── BadFilter
    │   └── LinksUnnamed
    ├── SettingsError                   2
    │   ├── UnreadableSettings
    │   │   ├── NoSettingsFile
    │   │   └── NoPassword
    │   ├── UnknownSetting
    │   ├── InvalidSetting
    │   ├── MissingSetting
    │   ├── UnknownProfile
    │   ├── BadKeymap
    │   ├── BadViews
    │   └── SecretInSettings
    ├── MattermostError                 1
    │   ├── Unreachable
    │   │   └── AnswerLost
    │   ├── BreakerOpen
    │   ├── Throttled
    │   ├── ServerFault
    │   ├── Garbled
    │   │   └── NotMattermost
    │   ├── Unauthorized
    │   │   └── AdminTokenDead
    │   ├── AdminTokenTooWeak
    │   ├── TokensSwitchedOff
    │   ├── OtherServer
    │   └── Refused
    │       ├── NotFound
    │       ├── EmailTaken
    │       ├── UsernameTaken
    │       ├── TeamFull
    │       ├── UserCapReached
    │       ├── ChannelNameTaken
    │       ├── TooManyChannels
    │       ├── DefaultChannel
    │       ├── OutsideTeam
    │       ├── AccountDeactivated
    │       ├── ManagedByGroups
    │       └── MfaDemanded
    ├── DatabaseError                   1
    │   ├── DatabaseUnreachable
    │   │   ├── NoDatabaseFile
    │   │   ├── NoPlaceForFile
    │   │   └── ConnectionLost
    │   ├── DriverMissing
    │   ├── LoginRefused
    │   ├── NoSuchDatabase
    │   ├── TlsRefused
    │   ├── RightMissing
    │   ├── DatabaseBusy
    │   ├── DatabaseFull
    │   ├── DatabaseReadOnly
    │   │   └── ServerReadOnly
    │   ├── NotMigrated
    │   ├── NewerSchema
    │   ├── TableMissing
    │   ├── ColumnMissing
    │   ├── ColumnUnfit
    │   │   └── ColumnNarrow
    │   ├── OnlyAView
    │   ├── TableNotOnline
    │   ├── LiveTokens
    │   ├── NoWorkers                   2
    │   ├── TriggersRefused
    │   │   └── TriggersNeedSuper
    │   ├── NotOurs
    │   └── RowMissing
    ├── SecretError                     1
    │   ├── AdminTokenMissing
    │   ├── AdminTokenElsewhere
    │   ├── InsecureTransport
    │   ├── KeyringUnavailable
    │   ├── KeyringSlow
    │   ├── KeyringUnsafe
    │   ├── ExposedFile
    │   ├── SealKeyMissing
    │   ├── SealKeyExists
    │   ├── LaravelKeyMissing
    │   ├── LaravelKeyUnfit
    │   ├── LaravelKeyWrong
    │   ├── CannotOpen
    │   │   ├── Damaged
    │   │   ├── Altered
    │   │   ├── KeyNotHere
    │   │   └── OtherCipher
    │   ├── OtherForm
    │   └── FileThere               2
    ├── FileUnwritable                  1
    ├── UserUnknown                     1
    │   ├── NoSuchId
    │   └── NobodyKnown
    ├── AmbiguousName                   2
    ├── ListRefused                     1
    ├── TeamUnknown                     2
    │   └── NoSuchTeam
    ├── ChannelError                    1
    │   ├── ChannelUnknown
    │   ├── ChannelAmbiguous            2
    │   ├── ChannelNameUnfit            2
    │   ├── ChannelTeamMissing          2
    │   │   └── TeamUnsaid
    │   ├── ChannelTaken
    │   ├── ChannelInArchive
    │   ├── ChannelHidden
    │   └── ChannelPrivate
    ├── ProjectUnknown                  1
    ├── ProjectsUnmapped                2
    ├── TokenRejected                   1
    │   └── TokenDenied
    ├── TokenGone                       1
    ├── TokenStillWorks                 1
    ├── JobError                        1
    │   ├── JobUnknown
    │   ├── NothingToUndo
    │   ├── JobEnded
    │   ├── NotResumable                2
    │   ├── ChunksLeft
    │   ├── JobStopped                  130
    │   └── JobPaused                   130
    ├── PlanError                       1
    │   ├── PlanMissing                 2
    │   ├── PlanDamaged
    │   ├── PlanAltered
    │   ├── PlanElsewhere
    │   ├── PlanExpired
    │   └── PlanNewer
    ├── MagicLinkError                  1
    │   ├── TicketUnknown
    │   ├── TicketExpired
    │   ├── TicketSpent
    │   ├── LinkRefused
    │   ├── RepairedLately
    │   ├── TokenUntold
    │   └── LandingElsewhere
    ├── CallerError                     1
    │   ├── NotAuthenticated
    │   ├── NotAllowed
    │   ├── TooManyRequests
    │   ├── BodyTooLarge
    │   ├── TooSlow
    │   ├── NothingHere
    │   ├── ApiKeyUnknown
    │   ├── ApiKeyThere
    │   └── IssuerUnreachable
    ├── CannotListen                    1
    │   └── NoAddress                   2
    ├── GuardTripped                    4
    ├── TooManyMails                    4
    ├── Declined                        1
    ├── Busy                            75
    ├── LeaseLost                       75
    └── Interrupted                     130

A leaf's docstring is its sentence: it states the fact and names the next step. What varies is given by name and
kept as attributes. No secret is ever a fact of an error.
"""

import inspect
from collections.abc import Sequence
from typing import ClassVar


class MmconsoleError(Exception):
    """mmconsole could not do this: {why}"""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    request_id: str = ""
    """The server's X-Request-Id of the call that failed, to find it in the server's own log."""

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__(inspect.cleandoc(type(self).__doc__ or "").replace("\n", " ").format_map(facts))


class UsageError(MmconsoleError):
    """{why}"""

    exit_code = 2
    http_status = 400


class BadFilter(UsageError):
    """The filter cannot be understood at character {place}: {why}."""

    text: str
    at: int
    """Which character of the text it is about, from 0; its length when something is missing behind it."""
    why: str

    def __init__(self, *, text: str, at: int, why: str) -> None:
        self.text = text
        self.at = at
        self.why = why
        super().__init__(place=at + 1, why=why)


class LinksUnnamed(UsageError):
    """--link-existing confirms accounts of named users: say which, or --from a file."""


# ── settings ─────────────────────────────────────────────────────────────────────────────────────


class SettingsError(MmconsoleError):
    """The settings cannot be used: {why}"""

    exit_code = 2


class UnreadableSettings(SettingsError):
    """{where}: {why}. Compare with config.example.yaml."""


class NoSettingsFile(UnreadableSettings):
    """{where} cannot be read: {why}. Name another file with --config, or have one written by `mmconsole init`."""


class NoPassword(UnreadableSettings):
    """The database's password cannot be read from {where}: {why}. Correct that file, or `database.env_file`."""


class UnknownSetting(SettingsError):
    """{where}: there is no setting `{key}`{nearest}. config.example.yaml lists all of them."""


class InvalidSetting(SettingsError):
    """{where}: `{key}` cannot be {value}: {why}."""


class MissingSetting(SettingsError):
    """The setting `{key}` is missing. Set it in {file} or as {variable}{otherwise}."""


class UnknownProfile(SettingsError):
    """{where}: there is no profile `{profile}`. There are: {known}."""


class BadKeymap(SettingsError):
    """The keys in {where} cannot be used: {why}."""


class BadViews(SettingsError):
    """The saved views in {file} cannot be used: {why}."""


class SecretInSettings(SettingsError):
    """{where}: `{key}` looks like a secret, and secrets do not belong in a settings file.
    Take it out, replace it on the server, and store the new one with `mmconsole login`."""


# ── Mattermost ───────────────────────────────────────────────────────────────────────────────────


class MattermostError(MmconsoleError):
    """Mattermost: {why}"""

    http_status = 502


class Unreachable(MattermostError):
    """{server} cannot be reached: {why}. Check the address, the network and whether the server runs, then try again."""

    http_status = 503


class AnswerLost(Unreachable):
    """{server} may have done this, but its answer was lost ({call}: {why}). Nothing is repeated blindly:
    `mmconsole tokens recover` or the next sync finds out."""


class BreakerOpen(MattermostError):
    """{server} failed {failures} times in a row, so it is left alone for {wait:.0f} s. Try again then."""

    http_status = 503
    wait: float

    def __init__(self, *, server: str, failures: int, wait: float) -> None:
        self.wait = wait
        super().__init__(server=server, failures=failures, wait=wait)


class Throttled(MattermostError):
    """{server} asks to slow down ({call}): wait {retry_after:.0f} s. Its rate limit is in RateLimitSettings."""

    http_status = 503
    retry_after: float

    def __init__(self, *, server: str, call: str, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(server=server, call=call, retry_after=retry_after)


class ServerFault(MattermostError):
    """{server} answered {status} to {call}. Its own log says why; try again later."""

    http_status = 503


class Garbled(MattermostError):
    """{server} answered something that cannot be understood to {call}: {why}."""


class NotMattermost(Garbled):
    """{server} answered {call} with a web page, not with Mattermost's API ({why}).
    Check `mattermost.url`: it must be the address that people open, with its path if there is one."""


class Unauthorized(MattermostError):
    """{server} did not accept the token ({call}). It may be revoked, disabled, expired, or its account is inactive."""

    http_status = 409


class AdminTokenDead(Unauthorized):
    """{server} does not accept the admin token: it is dead, or personal access tokens are switched off there.
    Check System Console > Integrations, or store another token with `mmconsole login`."""

    http_status = 503


class AdminTokenTooWeak(MattermostError):
    """The admin token belongs to {username}, who is not a system administrator of {server}.
    Store the token of a system administrator, best of a bot with the role system_admin, with `mmconsole login`."""


class TokensSwitchedOff(MattermostError):
    """Personal access tokens are switched off on {server}.
    Switch them on in System Console > Integrations > Integration Management, then try again."""

    http_status = 503


class OtherServer(MattermostError):
    """This database belongs to the server {known}, but {server} is another one ({found}). Nothing was written.
    Use that server's own database, or check `mattermost.url`."""


class Refused(MattermostError):
    """{server} refused {call}: {error_id} ({status})."""

    http_status = 409
    error_id: str
    status: int

    def __init__(self, *, server: str, call: str, error_id: str, status: int) -> None:
        self.error_id = error_id
        self.status = status
        super().__init__(server=server, call=call, error_id=error_id, status=status)


class NotFound(Refused):
    """{server} knows nothing of that ({call}: {error_id})."""

    http_status = 404


class EmailTaken(Refused):
    """Another account on {server} has this e-mail address already."""


class UsernameTaken(Refused):
    """Another account or group on {server} has this username already."""


class TeamFull(Refused):
    """The team is full. Raise MaxUsersPerTeam in System Console > Users and Teams, then sync again."""


class UserCapReached(Refused):
    """{server} has as many active users as its licence allows. Deactivate accounts or extend the licence."""


class ChannelNameTaken(Refused):
    """A channel of this team has this name already. An archived one keeps its name."""


class TooManyChannels(Refused):
    """The team has as many channels as it may. Raise MaxChannelsPerTeam in System Console > Users and Teams."""


class DefaultChannel(Refused):
    """This is the channel that everybody of the team is in. The server never archives it."""


class OutsideTeam(Refused):
    """The account is not in the channel's team, or has left it."""


class AccountDeactivated(Refused):
    """The account is deactivated on the server. Reactivate it there first."""


class ManagedByGroups(Refused):
    """Who is in this channel or its team is decided by groups of the directory. Add the account to such a group."""


class MfaDemanded(Refused):
    """{server} demands multi-factor authentication of this account before its token can do anything."""


# ── database ─────────────────────────────────────────────────────────────────────────────────────


class DatabaseError(MmconsoleError):
    """The database {database} failed: {why}."""

    http_status = 503


class DatabaseUnreachable(DatabaseError):
    """The database {database} cannot be opened: {why}. Check `database.url` and that the server runs."""


class NoDatabaseFile(DatabaseUnreachable):
    """There is no database file {database}. Correct `database.url`, or let the application make it."""


class NoPlaceForFile(DatabaseUnreachable):
    """The database file {database} cannot be made: {why}. Let XDG_DATA_HOME name a folder that you can write,
    or set `database.url`."""


class ConnectionLost(DatabaseUnreachable):
    """The database {database} went away: {why}. What was not stored yet is done by the next run."""


class DriverMissing(DatabaseError):
    """The driver for {database} is not installed. Type: pipx inject mmconsole '{package}'
    (in a virtual environment: pip install '{package}')"""


class LoginRefused(DatabaseError):
    """The database {database} refused the user or the password of `database.url`. Correct them there,
    or where the password is read from (`database.env_file`)."""


class NoSuchDatabase(DatabaseError):
    """There is no database {database}. Correct the name in `database.url`, or let its administrator make it."""


class TlsRefused(DatabaseError):
    """No encrypted connection to the database {database} came about: {why}. Correct the TLS options of `database.url`,
    or the server's certificate."""


class RightMissing(DatabaseError):
    """The user of `database.url` may not do this in {database}: {why}.
    `mmconsole doctor --grants` prints the statements that give it what it needs."""


class DatabaseBusy(DatabaseError):
    """The database {database} stayed locked by another program. Nothing was lost; try again."""


class DatabaseFull(DatabaseError):
    """The database {database} has no room left on its disk. Nothing was changed; make room and try again."""


class DatabaseReadOnly(DatabaseError):
    """The database {database} cannot be written: {why}. Check the rights of its file and folder."""


class ServerReadOnly(DatabaseReadOnly):
    """The database {database} takes no changes: {why}. If this is a replica, set `database.url` to its primary."""


class NotMigrated(DatabaseError):
    """The database {database} has not been prepared yet ({missing}). Run `mmconsole migrate`."""


class NewerSchema(DatabaseError):
    """The database {database} was prepared by a newer mmconsole (revision {found}). Use that version here too."""


class TableMissing(DatabaseError):
    """There is no table `{table}` in {database}. Set `{key}` to the name of the application's table.{nearest}"""


class ColumnMissing(DatabaseError):
    """The table `{table}` has no column `{column}`. Set `{key}` to the right name.{nearest}"""


class ColumnUnfit(DatabaseError):
    """The column `{table}.{column}` cannot hold this: it is {found}, and {needed} is needed."""


class ColumnNarrow(ColumnUnfit):
    """The column `{table}.{column}` is too narrow: it holds {found} characters, and a token as `{form}` has up to
    {needed}. Let a migration of the application make it TEXT, then try again."""


class OnlyAView(DatabaseError):
    """`{table}` is a view, and is only read. Set `database.users.base` to the table behind it: there the two columns
    are written."""


class TableNotOnline(DatabaseError):
    """The columns of `{table}` cannot be changed while others use the table. In a quiet hour, let an administrator say
    `{statement}`, then run this again."""


class LiveTokens(DatabaseError):
    """Tokens of ours still work on the server ({count}), and rolling back would forget them.
    Revoke them first (`mmconsole tokens revoke --filter link:yes --now`), or say --abandon-tokens."""


class NoWorkers(DatabaseError):
    """There can be no workers here: {why}."""

    exit_code = 2


class TriggersRefused(DatabaseError):
    """Triggers cannot be made in {database}: {why}. Without them `mmconsole sync` in cron does the same, later."""


class TriggersNeedSuper(TriggersRefused):
    """MariaDB lets this account make no triggers in {database} (error 1419): its binary log is on and the account has
    not the right SUPER. Let an administrator say `SET GLOBAL log_bin_trust_function_creators = 1`, or say
    `mmconsole migrate --triggers` with an account that has it."""


class NotOurs(DatabaseError):
    """The application's users are not ours to change: {why}. Only the embedded database has users of its own."""


class RowMissing(DatabaseError):
    """The user {user_id} is no longer in the users table."""

    http_status = 404


# ── secrets ──────────────────────────────────────────────────────────────────────────────────────


class SecretError(MmconsoleError):
    """A secret cannot be used: {why}."""

    http_status = 503


class AdminTokenMissing(SecretError):
    """There is no admin token for {server} in the {source}. Store one with `mmconsole login`."""


class AdminTokenElsewhere(SecretError):
    """The admin token was stored for {known} and is not sent to {server}.
    Check `mattermost.url`, or store a token for this server with `mmconsole login`."""


class InsecureTransport(SecretError):
    """{server} is not encrypted, and a token must not travel in the clear. Use https,
    or set `mattermost.allow_http` if the way there is safe."""


class KeyringUnavailable(SecretError):
    """The keyring of this session cannot be used: {why}. Over SSH, in cron and under systemd there often is none:
    set `{key}` to credential, file or environment (docs/configuration.md, "Secrets")."""


class KeyringSlow(SecretError):
    """The keyring did not answer within {seconds:.0f} s. It may be locked or wait for a window that nobody sees.
    Unlock it, or set `{key}` to credential, file or environment."""


class KeyringUnsafe(SecretError):
    """The keyring back end `{backend}` keeps secrets in plain text or not at all, so it is refused.
    Install a real one (gnome-keyring, KWallet), or set `{key}` to credential, file or environment."""


class ExposedFile(SecretError):
    """{file} {why}. It must be a plain file of yours that nobody else can read: chmod 600 {file}"""


class SealKeyMissing(SecretError):
    """There is no seal key{which} in the {source}, and sealed tokens cannot be read or written without it.
    Make the first with `mmconsole seal init`, or bring back your copy."""


class SealKeyExists(SecretError):
    """There is a seal key already ({key_id}). Nothing was done: a second
    one would leave unreadable what it sealed."""


class LaravelKeyMissing(SecretError):
    """There is no key of the application in the {source}, and tokens stored as `laravel` cannot be read or written
    without it. Give its APP_KEY with `mmconsole seal laravel`, or name its .env (`laravel.source: env_file`)."""


class LaravelKeyUnfit(SecretError):
    """Key {number} in the {source} does not fit `laravel.cipher`: {cipher} needs {needed} bytes, and it {found}.
    It must be the application's APP_KEY as it stands in its .env, and the cipher that of its config/app.php."""


class LaravelKeyWrong(SecretError):
    """None of {count} tokens in `{table}.{column}` opens with the keys in the {source}. Nothing was written.
    They must be the APP_KEY (and APP_PREVIOUS_KEYS) of the application that reads this column."""


class CannotOpen(SecretError):
    """What is stored cannot be opened: {why}."""


class Damaged(CannotOpen):
    """What is stored cannot be opened: it is cut short or damaged ({why})."""


class Altered(CannotOpen):
    """What is stored cannot be opened: it was changed, or {otherwise}."""


class KeyNotHere(CannotOpen):
    """What is stored cannot be opened: it was sealed with the key {key_id}, which is not here; bring back its copy."""


class OtherCipher(CannotOpen):
    """What is stored cannot be opened: it was not written with {cipher}, which `laravel.cipher` names."""


class OtherForm(SecretError):
    """`{table}.{column}` already holds {count} tokens as `{found}`, but `tokens.storage` is `{wanted}`.
    Nothing was written. Bring them into this form with `mmconsole tokens restorage --to {wanted}`,
    or set `tokens.storage: {found}` (or add `{found}` to `tokens.accept` to read both)."""


class FileThere(SecretError):
    """{file} exists already, and nothing is overwritten. Name another file."""

    exit_code = 2


# ── operations ───────────────────────────────────────────────────────────────────────────────────


class FileUnwritable(MmconsoleError):
    """{file} cannot be written: {why}."""


class UserUnknown(MmconsoleError):
    """There is no user `{name}` in the users table (looked at id, e-mail and username).
    `mmconsole users list --filter WORD` finds users by a part of their name."""

    http_status = 404


class NoSuchId(UserUnknown):
    """There is no user whose id is `{name}`; an address or a username does not count here."""


class NobodyKnown(UserUnknown):
    """None of these is the name of one user: {names} (looked at id, e-mail and username). Nothing was done.
    `mmconsole users list --filter WORD` finds users by a part of their name."""


class AmbiguousName(MmconsoleError):
    """`{name}` fits several {of}: {ids}. Say which one by its id."""

    exit_code = 2
    http_status = 409


class ListRefused(MmconsoleError):
    """Nobody was added or changed: {what}."""

    http_status = 400
    mistakes: tuple[tuple[int, str], ...]
    """Each with the number of its line."""

    def __init__(self, *, mistakes: Sequence[tuple[int, str]]) -> None:
        self.mistakes = tuple(mistakes)
        count = len(self.mistakes)
        super().__init__(what=self.mistakes[0][1] if count == 1 else f"there are {count:,} mistakes in the list")


class TeamUnknown(MmconsoleError):
    """There is no team `{name}` on {server}, or it is archived. Correct `sync.teams`:
    it takes names as they stand in a team's address."""

    exit_code = 2
    http_status = 503


class NoSuchTeam(TeamUnknown):
    """There is no team `{name}` on {server}, or it is archived. A team is named as it stands in its address."""

    http_status = 404


class ChannelError(MmconsoleError):
    """Nothing can be done with this channel: {why}"""

    http_status = 409


class ChannelUnknown(ChannelError):
    """There is no channel `{name}`{where}. Name it as `team/channel`, by its id or by its link on {server}."""

    http_status = 404


class ChannelAmbiguous(ChannelError):
    """`{name}` is a channel of several teams: {found}. Say which one as `team/channel`."""

    exit_code = 2


class ChannelNameUnfit(ChannelError):
    """`{name}` cannot be made into the name of a channel: no letter or digit is left of it. Take another one."""

    exit_code = 2
    http_status = 400


class ChannelTeamMissing(ChannelError):
    """It is not known which team is meant with `{name}`. Say so, as in `team/channel`, or set `{key}`."""

    exit_code = 2
    http_status = 400


class TeamUnsaid(ChannelTeamMissing):
    """It is not known which team is meant. Name it with --team, or set `{key}`."""


class ChannelTaken(ChannelError):
    """There is a channel `{channel}` already{state}. Take another name{ways}."""


class ChannelInArchive(ChannelError):
    """The channel {channel} is archived. Restore it with `mmconsole channel restore {channel}`."""


class ChannelHidden(ChannelError):
    """The server has the channel {channel}, but does not show it yet: a replica may lag. Try again in a moment."""

    http_status = 503


class ChannelPrivate(ChannelError):
    """The channel {channel} is private: nobody can join it alone.
    On the command line `mmconsole channel add --as-admin` adds people to it."""

    http_status = 403


class ProjectUnknown(MmconsoleError):
    """There is no project `{project}` with a name in the projects table ({table}). Give its name, too."""

    http_status = 404


class ProjectsUnmapped(MmconsoleError):
    """There is no projects table to read. Set `database.projects.table` to its name, or name one with --project."""

    exit_code = 2
    http_status = 409


class TokenRejected(MmconsoleError):
    """The new token of {user_id} did not work when it was tried ({why}), so it was revoked and nothing changed."""


class TokenDenied(TokenRejected):
    """A token of {user_id} is of no use ({why}), so the new one was revoked; no other is made before somebody asks.
    Remove the reason, then say `mmconsole sync {user_id}`."""


class TokenGone(MmconsoleError):
    """The token of {user_id} is gone from the server, so it cannot be enabled again.
    A new one is made by `mmconsole tokens generate {user_id}`."""

    http_status = 409


class TokenStillWorks(MmconsoleError):
    """The server was told to revoke the token of {user_id}, but still knows it. The next run tries again."""

    http_status = 503


class JobError(MmconsoleError):
    """Nothing can be done with job {job_id}: {why}."""

    http_status = 409


class JobUnknown(JobError):
    """There is no job {job_id} in this database. `mmconsole jobs list` shows those there are."""

    http_status = 404


class NothingToUndo(JobError):
    """Job {job_id} was `{title}`: only what a revocation of tokens disabled can be enabled again."""


class JobEnded(JobError):
    """Job {job_id} has ended ({state}), so there is nothing to go on with."""


class NotResumable(JobError):
    """Job {job_id} is not resumed by its number. Say its command again ({title}), which does the rest."""

    exit_code = 2


class ChunksLeft(JobError):
    """Some workers could not do their part of job {job_id}: {left} users are left.
    `mmconsole jobs resume {job_id}` goes on with them."""


class JobStopped(JobError):
    """Somebody stopped job {job_id}. What was done is stored; the same command plans anew what is missing."""

    exit_code = 130


class JobPaused(JobError):
    """Somebody paused job {job_id}. What was done is stored; `mmconsole jobs resume {job_id}` or the same command
    does the rest."""

    exit_code = 130


class PlanError(MmconsoleError):
    """The plan {file} cannot be used: {why}. Nothing was done."""

    http_status = 409


class PlanMissing(PlanError):
    """{file} cannot be read: {why}."""

    exit_code = 2


class PlanDamaged(PlanError):
    """{file} is no plan, or only a part of one: {why}. Nothing was done."""


class PlanAltered(PlanError):
    """{file} is not as it was signed: it was edited, or signed with a key that is not here. Nothing was done.
    Make a new one with `mmconsole plan`."""


class PlanElsewhere(PlanError):
    """{file} was made for another {what} ({found}, and this is {known}). Nothing was done."""


class PlanExpired(PlanError):
    """{file} has expired ({at}). Nothing was done. Make a new one with `mmconsole plan`."""


class PlanNewer(PlanError):
    """{file} was made by another version of mmconsole (format {found}, and this one reads {known}).
    Nothing was done."""


# ── the HTTP service ─────────────────────────────────────────────────────────────────────────────


class MagicLinkError(MmconsoleError):
    """This sign-in link cannot be used: {why}"""

    http_status = 409


class TicketUnknown(MagicLinkError):
    """This sign-in link is not known here. Ask for a new one."""

    http_status = 404


class TicketExpired(MagicLinkError):
    """This sign-in link has expired. Ask for a new one."""

    http_status = 410


class TicketSpent(MagicLinkError):
    """This sign-in link has already been used. Ask for a new one."""

    http_status = 410


class LinkRefused(MagicLinkError):
    """There is no sign-in link for {user_id}: {why}."""


class RepairedLately(MagicLinkError):
    """The token of {user_id} does not work, and a link has had it replaced within the last day.
    `mmconsole validate --deep {user_id}` says why, `mmconsole tokens repair {user_id}` makes another."""


class TokenUntold(MagicLinkError):
    """Whether the token of {user_id} works cannot be told right now ({why}). Nothing was changed; try again."""

    http_status = 503


class LandingElsewhere(MagicLinkError):
    """`to` must be a path on the Mattermost server, as in /team/channels/name."""

    http_status = 400


class CallerError(MmconsoleError):
    """This call is not answered: {why}"""

    http_status = 400


class NotAuthenticated(CallerError):
    """This needs a key or token that is accepted here."""

    http_status = 401


class NotAllowed(CallerError):
    """This caller may not do this: {why}."""

    http_status = 403


class TooManyRequests(CallerError):
    """There were too many requests. Try again in {retry_after:.0f} s."""

    http_status = 429
    retry_after: float

    def __init__(self, *, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(retry_after=retry_after)


class BodyTooLarge(CallerError):
    """The body of a request may have {limit} bytes."""

    http_status = 413


class TooSlow(CallerError):
    """The request did not arrive within {seconds:.0f} s."""

    http_status = 408


class NothingHere(CallerError):
    """There is nothing here. `mmconsole serve` answers below /api/mattermost/."""

    http_status = 404


class ApiKeyUnknown(CallerError):
    """There is no API key `{name}` that could be revoked. `mmconsole api-keys list` shows those there are."""

    http_status = 404


class ApiKeyThere(CallerError):
    """There is an API key `{name}` already, which works ({key_id}). Take another name, as `{name}-2`, or end that one
    first with `mmconsole api-keys revoke {key_id}`."""

    http_status = 409


class IssuerUnreachable(CallerError):
    """The keys of {issuer} cannot be fetched ({why}), so its tokens cannot be checked."""

    http_status = 503


class CannotListen(MmconsoleError):
    """Nobody can listen on {address}: {why}."""


class NoAddress(CannotListen):
    """`{address}` is no address to listen on. Say with --listen, or as `web.listen`, one that looks like
    127.0.0.1:8075, [::1]:8075, unix:/run/x.sock or systemd."""

    exit_code = 2


class GuardTripped(MmconsoleError):
    """This would remove {removals} tokens, accounts or channels ({total} with those of the last 24 hours); the guard
    allows {allowed}. Nothing was removed. If that is right, say --allow-removals {removals}."""

    exit_code = 4
    http_status = 409


class TooManyMails(MmconsoleError):
    """This would cause {mails} e-mails to users, and `sync.max_mails` allows {allowed}. Nothing was done."""

    exit_code = 4
    http_status = 409


class Declined(MmconsoleError):
    """Nothing was done."""


class Busy(MmconsoleError):
    """Another run is at work on this database ({holder}, since {since}). Wait for it, or say --wait."""

    exit_code = 75
    http_status = 503


class LeaseLost(MmconsoleError):
    """Another process took over the lease `{lease}`, so this one stopped. Nothing is done twice."""

    exit_code = 75
    http_status = 503


class Interrupted(MmconsoleError):
    """Stopped. What was done is stored; the same command does the rest."""

    exit_code = 130
