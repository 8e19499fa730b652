"""`mmconsole config`: the settings, and where each of them comes from."""

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mmconsole.cli import output
from mmconsole.cli.run import given

if TYPE_CHECKING:
    from mmconsole.config import Settings

SHOW_EXAMPLES: Final = """\b
Examples:
  mmconsole config show
  mmconsole --profile staging config show --json
"""
CHECK_EXAMPLES: Final = """\b
Examples:
  mmconsole config check && systemctl restart mmconsole

Exit codes: 0 the settings can be used, 2 they cannot.
"""
_PASSWORD: Final = re.compile(r"(://[^:/@\s]*):\S*@|((?:password|passwd|token|key)=)[^&\s]*", re.IGNORECASE)


def app() -> typer.Typer:
    group = typer.Typer(rich_markup_mode=None, help="Show and check the settings.")
    group.command("show", epilog=SHOW_EXAMPLES)(show)
    group.command("check", epilog=CHECK_EXAMPLES)(check)
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

    table = Table("SETTING", "VALUE…", "FROM…")
    with output.reader():
        for key, value in _values(settings).items():
            table.add(key, output.visible(_written(value)), output.visible(settings.origins[key]))
        table.end()


def check(context: typer.Context) -> None:
    """Say whether the settings can be used."""
    settings = given(context).settings()
    from mmconsole.secrets import check_transport  # noqa: PLC0415 - help needs no secrets

    check_transport(settings.server, allow_http=settings.values.mattermost.allow_http)
    where = f" ({settings.file})" if settings.file else ""
    output.write(output.visible(f"The settings of the profile {settings.profile} can be used{where}."))


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
