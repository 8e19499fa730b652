"""Every error of mmconsole, drawn as a tree.

    MmconsoleError                      1
    ├── UsageError                      2
    ├── SettingsError                   2
    │   ├── UnreadableSettings
    │   ├── UnknownSetting
    │   ├── InvalidSetting
    │   ├── MissingSetting
    │   ├── UnknownProfile
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
    │       └── MfaDemanded
    ├── DatabaseError                   1
    │   ├── DatabaseUnreachable
    │   ├── DatabaseBusy
    │   ├── DatabaseFull
    │   ├── DatabaseReadOnly
    │   ├── NotMigrated
    │   ├── NewerSchema
    │   ├── TableMissing
    │   ├── ColumnMissing
    │   ├── ColumnUnfit
    │   ├── LiveTokens
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
    │   ├── CannotOpen
    │   ├── OtherForm
    │   └── FormUnreadable
    ├── UserUnknown                     1
    ├── AmbiguousName                   2
    ├── TeamUnknown                     2
    ├── TokenRejected                   1
    │   └── TokenDenied
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
from typing import ClassVar


class MmconsoleError(Exception):
    """mmconsole could not do this: {why}"""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__(inspect.cleandoc(type(self).__doc__ or "").replace("\n", " ").format_map(facts))


class UsageError(MmconsoleError):
    """{why}"""

    exit_code = 2
    http_status = 400


# ── settings ─────────────────────────────────────────────────────────────────────────────────────


class SettingsError(MmconsoleError):
    """The settings cannot be used: {why}"""

    exit_code = 2


class UnreadableSettings(SettingsError):
    """{where}: {why}. Compare with config.example.yaml."""


class UnknownSetting(SettingsError):
    """{where}: there is no setting `{key}`{nearest}. config.example.yaml lists all of them."""


class InvalidSetting(SettingsError):
    """{where}: `{key}` cannot be {value}: {why}."""


class MissingSetting(SettingsError):
    """The setting `{key}` is missing. Set it in {file} or as {variable}."""


class UnknownProfile(SettingsError):
    """{where}: there is no profile `{profile}`. There are: {known}."""


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


class MfaDemanded(Refused):
    """{server} demands multi-factor authentication of this account before its token can do anything."""


# ── database ─────────────────────────────────────────────────────────────────────────────────────


class DatabaseError(MmconsoleError):
    """The database {database} failed: {why}."""

    http_status = 503


class DatabaseUnreachable(DatabaseError):
    """The database {database} cannot be opened: {why}. Check `database.url` and that the server runs."""


class DatabaseBusy(DatabaseError):
    """The database {database} stayed locked by another program. Nothing was lost; try again."""


class DatabaseFull(DatabaseError):
    """The database {database} has no room left on its disk. Nothing was changed; make room and try again."""


class DatabaseReadOnly(DatabaseError):
    """The database {database} cannot be written: {why}. Check the rights of its file and folder."""


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


class LiveTokens(DatabaseError):
    """Tokens of ours still work on the server ({count}), and rolling back would forget them.
    Revoke them first, or say --abandon-tokens."""


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
    """The keyring of this session cannot be used: {why}. Over SSH, cron and systemd there often is none:
    set `{key}` to credential, file or environment (README, "Where the admin token lives")."""


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


class CannotOpen(SecretError):
    """What is stored cannot be opened: {why}."""


class OtherForm(SecretError):
    """`{table}.{column}` already holds {count} tokens as `{found}`, but `tokens.storage` is `{wanted}`.
    Nothing was written. Set `tokens.storage: {found}`, or add `{found}` to `tokens.accept` to read both."""


class FormUnreadable(SecretError):
    """`{table}.{column}` holds {count} tokens as Laravel's `Crypt::encryptString`, which this version cannot read.
    Nothing was written. Empty these values to have new tokens made, or wait for a version that reads them."""


# ── operations ───────────────────────────────────────────────────────────────────────────────────


class UserUnknown(MmconsoleError):
    """There is no user `{name}` in the users table (looked at id, e-mail and username)."""

    http_status = 404


class AmbiguousName(MmconsoleError):
    """`{name}` fits several users: {ids}. Say which one by its id."""

    exit_code = 2
    http_status = 409


class TeamUnknown(MmconsoleError):
    """There is no team `{name}` on {server}, or it is archived. Correct `sync.teams`:
    it takes names as they stand in a team's address."""

    exit_code = 2
    http_status = 503


class TokenRejected(MmconsoleError):
    """The new token of {user_id} did not work when it was tried ({why}), so it was revoked and nothing changed."""


class TokenDenied(TokenRejected):
    """A token of {user_id} is of no use ({why}), so the new one was revoked; no other is made before somebody asks.
    Remove the reason, then say `mmconsole sync {user_id}`."""


class GuardTripped(MmconsoleError):
    """This would remove {removals} (with those of the last 24 hours {total}); the guard allows {allowed}.
    Nothing was removed. If that is right, say --allow-removals {removals}."""

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
