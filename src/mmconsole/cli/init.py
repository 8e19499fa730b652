"""`mmconsole init`: from nothing to settings that work; asked for on a terminal, or given by flags."""

import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from mmconsole.cli import output
from mmconsole.cli.run import given
from mmconsole.domain.secrets import Secret
from mmconsole.errors import AdminTokenDead, AdminTokenTooWeak, Declined, MmconsoleError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmconsole.config import Settings
    from mmconsole.database import FirstLook
    from mmconsole.domain.laravel_env import LaravelEnv
    from mmconsole.secrets.forms import Form
    from mmconsole.services.setup import Choices

T = TypeVar("T")

EXAMPLES: Final = """\b
Examples:
  mmconsole init    asks; in the application's folder it reads the .env there
  mmconsole init --url https://chat.example.org --yes < admin-token
  mmconsole init --env /srv/app/.env --database postgresql://app@db/app

It writes the settings (mode 0600, no secret in them), stores the administrator's token after trying it, makes the key
that tokens are sealed with where there is none, and ends with `mmconsole doctor`. Until you say yes nothing is written.
"""
_STORAGE_HELP: Final = "How tokens are stored: sealed, laravel or plain."


def init(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    *,
    url: Annotated[str | None, typer.Option(metavar="URL", help="The address of Mattermost.")] = None,
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="The application's database; `none` for one of our own.")
    ] = None,
    env: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The application's .env, if it is not in this folder.")
    ] = None,
    team: Annotated[list[str] | None, typer.Option(metavar="NAME", help="A team everybody joins; repeatable.")] = None,
    storage: Annotated[str | None, typer.Option(metavar="FORM", help=_STORAGE_HELP)] = None,
    secrets_in: Annotated[
        str | None, typer.Option("--secrets", metavar="PLACE", help="Where secrets live: keyring or file.")
    ] = None,
    allow_http: Annotated[bool, typer.Option("--allow-http", help="The way there is safe without https.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a settings file that is there.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take flags and what is found.")] = False,
) -> None:
    """Set up: find what is there, ask for the rest, write settings. At the end `doctor` looks whether all is well."""
    file = _file(context, force=force, yes=yes)
    asking = _Asking(silent=yes or not output.on_a_terminal())
    application = _application(env)
    if application is not None:
        _tell_found(application)
    choices = _Choosing(asking, application, env).choose(
        url=url, database=database, teams=tuple(team or ()), storage=storage, secrets_in=secrets_in, http=allow_http
    )
    token = _token(asking, application, choices)
    output.note("")
    for line in choices.text().splitlines():
        output.note(f"  {output.visible(line)}")
    if not asking.yes(f"Write this into {file}?"):
        raise Declined
    settings, logged_in = _write(file, choices, token, asking, profile=given(context).profile)
    from mmconsole.cli.doctor import examine  # noqa: PLC0415 - help needs no doctor

    output.note("")
    examine(settings)
    _tell_next(logged_in=logged_in)


class _Asking:
    """Questions on a terminal; elsewhere each has the answer that is proposed."""

    def __init__(self, *, silent: bool) -> None:
        self.silent = silent

    def text(self, question: str, proposed: str = "") -> str:
        if self.silent:
            return proposed
        hint = f" [{output.visible(proposed)}]" if proposed else ""
        return self._line(f"{question}{hint}: ") or proposed

    def until_usable(self, question: str, proposed: str, read: "Callable[[str], T]") -> T:
        """What `read` makes of the answer. On a terminal a wrong one is asked for again; elsewhere it raises."""
        while True:
            try:
                return read(self.text(question, proposed))
            except MmconsoleError as fault:
                if self.silent:
                    raise
                output.note(f"  ! {output.visible(str(fault))}")

    def yes(self, question: str, *, proposed: bool = True) -> bool:
        if self.silent:
            return proposed
        answer = self._line(f"{question} [{'Y/n' if proposed else 'y/N'}] ").lower()
        return answer in {"y", "yes"} if answer else proposed

    @staticmethod
    def _line(question: str) -> str:
        sys.stderr.write(question)
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise Declined
        return line.strip()


class _Choosing:
    """One question after the other; what an answer leads to is tried before the next one."""

    def __init__(self, asking: _Asking, application: "LaravelEnv | None", env: Path | None) -> None:
        from mmconsole.services import setup  # noqa: PLC0415 - help needs none of it

        self._setup = setup
        self._asking = asking
        self._application = application
        self._env = (env or Path(setup.ENV_FILE)).absolute() if application else None

    def choose(  # noqa: PLR0913 - one parameter per option
        self,
        *,
        url: str | None,
        database: str | None,
        teams: tuple[str, ...],
        storage: str | None,
        secrets_in: str | None,
        http: bool,
    ) -> "Choices":
        choices = self._server(url, http=http)
        choices, look = self._database(choices, database)
        choices = self._with_storage(choices, look, storage)
        return replace(choices, teams=self._teams(teams), secrets_in=self._place(choices, secrets_in))

    def _asked(self, question: str, given: str | None, proposed: str, read: "Callable[[str], T]") -> T:
        """What a flag says is final; what is typed can be corrected."""
        return read(given) if given else self._asking.until_usable(question, proposed, read)

    def _server(self, url: str | None, *, http: bool) -> "Choices":
        found = self._application.mattermost_url if self._application else None
        return self._asked("Address of Mattermost", url, found or "", lambda answer: self._at(answer, http=http))

    def _at(self, url: str, *, http: bool) -> "Choices":
        if not url:
            raise UsageError(why="Say where Mattermost is: --url https://chat.example.org")
        choices = self._setup.Choices(url=url.rstrip("/"), env_file=self._env, allow_http=http)
        # Said here, so that a wrong address is not found out after ten questions.
        choices.settings()
        if http or not self._setup.in_the_clear(choices):
            return choices
        if not self._asking.yes(f"{choices.url} is not encrypted. Is the way there safe all the same?", proposed=False):
            raise UsageError(
                why=f"{choices.url} is not encrypted, and a token must not travel in the clear. Use https,"
                " or say --allow-http if the way there is safe."
            )
        return replace(choices, allow_http=True)

    def _database(self, choices: "Choices", database: str | None) -> "tuple[Choices, FirstLook | None]":
        found = self._application.database_url if self._application else None

        def read(answer: str) -> "tuple[Choices, FirstLook | None]":
            chosen = self._in_database(choices, answer)
            return chosen, self._look(chosen)

        return self._asked("The application's database (none: one of our own)", database, found or "none", read)

    def _in_database(self, choices: "Choices", answer: str) -> "Choices":
        if answer == "none":
            return choices
        if _has_password(answer):
            raise UsageError(
                why="A password does not belong in the settings. Leave it out of the address, and name a file that says"
                " DB_PASSWORD=… as `database.env_file`; or set MMCONSOLE_DATABASE_URL in the environment."
            )
        reads = bool(self._application and self._application.has_password) and ":///" not in answer
        return replace(choices, database_url=answer, reads_password=reads)

    def _look(self, choices: "Choices") -> "FirstLook | None":
        if choices.database_url is None:
            return None
        try:
            look = self._setup.look_at_database(choices)
        except MmconsoleError as fault:
            if self._asking.silent:
                raise
            output.note(f"  ! {output.visible(str(fault))}")
            if not self._asking.yes("Go on all the same?", proposed=False):
                raise UsageError(why="Then another database, please.") from fault
            return None
        held = f"; its tokens are stored as {' and '.join(sorted(look.forms))}" if look.forms else ""
        output.note(f"  + {output.amount(look.users, 'user')} in the table `users`{held}")
        return look

    def _with_storage(self, choices: "Choices", look: "FirstLook | None", storage: str | None) -> "Choices":
        from mmconsole.secrets.forms import Form  # noqa: PLC0415 - as above

        proposed = self._setup.proposed_form(look, self._application) if look else Form.SEALED
        question = "How tokens are stored (sealed, laravel, plain)"
        # Without an application's database there is nothing to choose.
        chosen = (
            self._form(proposed) if not look and not storage else self._asked(question, storage, proposed, self._form)
        )
        users = self._setup.mapped(look.columns) if look else {}
        others = tuple(form for form in Form if look and form in look.forms and form is not chosen)
        return replace(choices, storage=chosen, accept=others, users=users)

    def _form(self, answer: str) -> "Form":
        from mmconsole.secrets.forms import Form  # noqa: PLC0415 - as above

        if answer not in set(Form):
            raise UsageError(why=f"There is no form `{output.visible(answer)}`. There are: {', '.join(Form)}.")
        if answer == Form.LARAVEL and not (self._application and self._application.has_key):
            raise UsageError(why="`laravel` needs the application's APP_KEY: name its .env with --env.")
        return Form(answer)

    def _teams(self, teams: tuple[str, ...]) -> tuple[str, ...]:
        found = (self._application.team if self._application else None) or ""
        text = "" if teams else self._asking.text("Teams that everybody joins, by the names in their addresses", found)
        return teams or tuple(text.replace(",", " ").split())

    def _place(self, choices: "Choices", place: str | None) -> str:
        proposed = self._setup.place_for_secrets(choices)
        return self._asked("Where secrets live (keyring, file)", place, proposed, _keyring_or_file)


def _keyring_or_file(answer: str) -> str:
    if answer not in {"keyring", "file"}:
        raise UsageError(
            why="Secrets live in a `keyring` or a `file` here. systemd credentials and the environment are set up by"
            ' hand: docs/configuration.md, "Secrets".'
        )
    return answer


def _file(context: typer.Context, *, force: bool, yes: bool) -> Path:
    """Where the settings go. Raises UsageError, Declined."""
    from mmconsole.config import user_config_file  # noqa: PLC0415 - it imports pydantic

    file = given(context).config or _named_file() or user_config_file()
    if file.exists() and not file.is_file():
        raise UsageError(why=f"{file} is not a file that settings can be written to. Name another one with --config.")
    if not file.exists() or force:
        return file
    asking = _Asking(silent=yes or not output.on_a_terminal())
    if asking.silent:
        raise UsageError(
            why=f"{file} is there already. Say --force to overwrite it, or name another one with --config."
        )
    if not asking.yes(f"{file} is there already. Overwrite it?", proposed=False):
        raise Declined
    return file


def _named_file() -> Path | None:
    import os  # noqa: PLC0415 - only here

    named = os.environ.get("MMCONSOLE_CONFIG")
    return Path(named) if named else None


def _application(env: Path | None) -> "LaravelEnv | None":
    from mmconsole.services import setup  # noqa: PLC0415 - help needs none of it

    found = setup.find_application(env) if env else setup.find_application(Path(setup.ENV_FILE))
    if env is not None and found is None:
        raise UsageError(why=f"{env} is not the .env of a Laravel application, or cannot be read.")
    return found


def _tell_found(application: "LaravelEnv") -> None:
    output.note(f"Found a Laravel application{f' ({application.application})' if application.application else ''}:")
    facts = {
        "database": application.database_url or "",
        "its password": "in the .env, and read from there" if application.has_password else "",
        "APP_KEY": "there" if application.has_key else "",
        "Mattermost": application.mattermost_url or "",
        "admin token": "there (never shown)" if application.admin_token else "",
        "team": application.team or "",
    }
    for name, fact in facts.items():
        if fact:
            output.note(f"  {name:<13} {output.visible(fact)}")


def _token(asking: _Asking, application: "LaravelEnv | None", choices: "Choices") -> Secret | None:
    """The administrator's token; None leaves it to `mmconsole login`."""
    if application and application.admin_token:
        # One server's token is not sent to another just because nobody said otherwise.
        proposed = _is_for(application, choices.url)
        if asking.yes("Use the admin token of the .env?", proposed=proposed):
            return application.admin_token
    if output.is_terminal(sys.stdin) and asking.silent:
        return None
    return _typed_token(choices.url)


def _typed_token(server: str) -> Secret | None:
    from mmconsole.cli.login import read_token  # noqa: PLC0415 - as above

    if output.is_terminal(sys.stdin):
        output.note("The token of a system administrator, best of a bot with the role system_admin (empty: later).")
    return read_token(server, may_be_empty=True)


def _is_for(application: "LaravelEnv", url: str) -> bool:
    """Whether the application's token is for this server, as far as its .env tells."""
    from mmconsole.secrets.admin_token import origin_of  # noqa: PLC0415 - help needs none of it

    known = application.mattermost_url
    return known is None or origin_of(known) == origin_of(url)


def _write(
    file: Path, choices: "Choices", token: Secret | None, asking: _Asking, *, profile: str | None
) -> "tuple[Settings, bool]":
    """Everything or nothing: whatever fails, the file is as it was. Raises what storing a token raises.

    Returns the settings, and whether there is a token for them.
    """
    from mmconsole.config import load_settings  # noqa: PLC0415 - help needs none of it
    from mmconsole.services import setup  # noqa: PLC0415

    before = file.read_bytes() if file.exists() else None
    with ExitStack() as undo:
        undo.callback(_restore, file, before)
        setup.write_settings(file, choices.text())
        settings = load_settings(file=file, profile=profile)
        output.note(f"Wrote {file}.")
        if token is not None:
            undo.callback(_put_back, settings, _token_before(settings))
            token = _log_in(settings, token, asking)
        if choices.storage == "sealed":
            _make_seal_key(settings)
        undo.pop_all()
    return settings, token is not None


def _restore(file: Path, before: bytes | None) -> None:
    if before is None:
        file.unlink(missing_ok=True)
    else:
        file.write_bytes(before)
    output.note(f"{file} is as it was.")


def _token_before(settings: "Settings") -> Secret | None:
    """What is there already. Raises SecretError where nobody can look, and then nothing could be stored either."""
    from mmconsole.secrets import admin_token  # noqa: PLC0415 - as above

    return admin_token.place(settings).read()


def _put_back(settings: "Settings", before: Secret | None) -> None:
    from mmconsole.secrets import admin_token  # noqa: PLC0415 - as above

    place = admin_token.place(settings)
    if before is not None:
        place.write(before)
    elif place.read() is not None:
        place.delete()


def _log_in(settings: "Settings", token: Secret | None, asking: _Asking) -> Secret | None:
    """Try a token and store it; on a terminal another one can be given. Returns the one that was stored, if any."""
    while token is not None:
        try:
            _try(settings, token)
        except (AdminTokenDead, AdminTokenTooWeak) as fault:
            if asking.silent:
                raise
            output.note(f"  ! {output.visible(str(fault))}")
            token = _typed_token(settings.server)
        else:
            return token
    return None


def _try(settings: "Settings", token: Secret) -> None:
    from mmconsole.cli.loop import run  # noqa: PLC0415 - as above
    from mmconsole.services.login import log_in  # noqa: PLC0415

    done = run(lambda _: log_in(settings, token))
    output.note(f"The token of @{output.visible(done.username)} works, and is stored in the {done.stored_in}.")


def _make_seal_key(settings: "Settings") -> None:
    from mmconsole.errors import SealKeyExists  # noqa: PLC0415 - as above
    from mmconsole.secrets import seal_keys  # noqa: PLC0415

    try:
        keys = seal_keys.init(settings)
    except SealKeyExists:
        return
    place = seal_keys.place(settings).description
    output.note(f"Made the seal key {keys.current.id} in the {place}. Back it up: mmconsole seal export --output FILE")


def _tell_next(*, logged_in: bool) -> None:
    steps = ([] if logged_in else ["mmconsole login"]) + ["mmconsole migrate", "mmconsole sync --all --dry-run"]
    output.note(f"\nNext: {', then '.join(f'`{step}`' for step in steps)}.")


def _has_password(url: str) -> bool:
    from urllib.parse import parse_qs, urlsplit  # noqa: PLC0415 - only here

    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.password is not None or any(name.endswith(("password", "passwd")) for name in parse_qs(parts.query))
