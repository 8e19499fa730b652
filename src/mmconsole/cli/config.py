"""`mmconsole config`: the settings, and where each of them comes from."""

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mmconsole.cli import output
from mmconsole.cli.run import given

if TYPE_CHECKING:
    from mmconsole.config import Settings
    from mmconsole.database import Fittings

SHOW_EXAMPLES: Final = """\b
Examples:
  mmconsole config show
  mmconsole --profile staging config show --json
"""
CHECK_EXAMPLES: Final = """\b
Examples:
  mmconsole config check && systemctl restart mmconsole
  mmconsole config check --json | jq '.columns[] | select(.fit != "fits")'

Of an attached application's database it shows each mapped column, and which migrations would run.
Exit codes: 0 the settings can be used, 1 the database does not fit or cannot be opened, 2 the settings are wrong.
"""
SCHEMA_EXAMPLES: Final = """\b
Examples:
  mmconsole config schema > ~/.config/mmconsole/schema.json

Then put this into the first line of config.yaml, for editors with the YAML language server:
  # yaml-language-server: $schema=schema.json
"""
_PASSWORD: Final = re.compile(r"(://[^:/@\s]*):\S*@|((?:password|passwd|token|key)=)[^&\s]*", re.IGNORECASE)


def app() -> typer.Typer:
    group = typer.Typer(rich_markup_mode=None, help="Show and check the settings.")
    group.command("show", epilog=SHOW_EXAMPLES)(show)
    group.command("check", epilog=CHECK_EXAMPLES)(check)
    group.command("schema", epilog=SCHEMA_EXAMPLES)(schema)
    return group


def show(
    context: typer.Context, *, json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False
) -> None:
    """Show every setting and where it comes from."""
    settings = given(context).settings()
    if json:
        values = {key: {"value": value, "origin": settings.origins[key]} for key, value in _values(settings).items()}
        output.write_json({"profile": settings.profile, "file": settings.file, "settings": values})
        return
    from mmconsole.cli.table import Table  # noqa: PLC0415

    table = Table("SETTING", "VALUE…", "FROM…", spare=("FROM",))
    with output.reader():
        for key, value in _values(settings).items():
            table.add(key, output.visible(_written(value)), output.visible(settings.origins[key]))
        table.end()


def check(
    context: typer.Context, *, json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False
) -> None:
    """Say whether the settings can be used, and fit the database."""
    settings = given(context).settings()
    from mmconsole.secrets import check_transport  # noqa: PLC0415 - help needs no secrets

    check_transport(settings.server, allow_http=settings.values.mattermost.allow_http)
    found = None
    if not settings.values.database.embedded:
        from mmconsole.database import fittings  # noqa: PLC0415 - it imports SQLAlchemy
        from mmconsole.secrets.forms import WIDTHS, Form  # noqa: PLC0415 - as above

        form = Form(settings.values.tokens.storage)
        found = fittings(settings, form=form, width=WIDTHS[form])
    if json:
        _show_fittings_as_json(settings, found)
    else:
        _show_fittings(settings, found)
    if found is not None and found.fault is not None:
        raise found.fault


def _show_fittings(settings: "Settings", found: "Fittings | None") -> None:
    if found is not None:
        from mmconsole.cli.table import Table  # noqa: PLC0415

        table = Table("SETTING", "COLUMN…", "FITS", "TYPE…", spare=("TYPE",))
        for one in found.columns:
            table.add(one.key, output.visible(one.place), one.fit.value, output.visible(one.found))
        table.end()
        output.write("")
        output.write(output.visible(f"{found.database}, {found.server}."))
        for name in found.changes:
            output.write(f"`mmconsole migrate` would run {name}.")
    if found is None or found.fault is None:
        where = f" ({settings.file})" if settings.file else ""
        output.write(output.visible(f"The settings of the profile {settings.profile} can be used{where}."))


def _show_fittings_as_json(settings: "Settings", found: "Fittings | None") -> None:
    document: dict[str, Any] = {
        "profile": settings.profile,
        "file": settings.file,
        "usable": found is None or found.fault is None,
    }
    if found is not None:
        columns = [
            {"setting": one.key, "column": one.place, "fit": one.fit.value, "type": one.found or None}
            for one in found.columns
        ]
        why = str(found.fault) if found.fault else None
        document |= {"database": found.database, "server": found.server, "columns": columns, "why": why}
        document |= {"migrations": found.changes}
    output.write_json(document)


def schema() -> None:
    """Print a JSON Schema of the settings file, for editors."""
    from json import dumps  # noqa: PLC0415 - only here is it for people's eyes, too

    from mmconsole.cli.config_schema import schema as made  # noqa: PLC0415 - it imports pydantic

    with output.reader():
        output.write_json_text(dumps(made(), indent=2))


def _values(settings: "Settings") -> dict[str, Any]:
    """By dotted key, without the password that a database's address may have."""
    from mmconsole.config import leaf_keys  # noqa: PLC0415 - it imports pydantic, which help needs not

    tree = settings.values.model_dump(mode="json")
    return {key: _masked(_leaf(tree, key)) for key in leaf_keys()}


def _leaf(tree: Any, key: str) -> Any:  # noqa: ANN401 - a setting is whatever it is
    for part in key.split("."):
        tree = tree[part]
    return tree


def _masked(value: Any) -> Any:  # noqa: ANN401
    if not isinstance(value, str):
        return value
    return _PASSWORD.sub(lambda match: f"{match[1]}:********@" if match[1] else f"{match[2]}********", value)


def _written(value: Any) -> str:  # noqa: ANN401
    """As it would stand in the file."""
    return value if isinstance(value, str) else output.as_json(value)
