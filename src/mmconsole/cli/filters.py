"""A filter from the command line."""

from typing import TYPE_CHECKING, Annotated

import typer

from mmconsole.cli import completion, output

if TYPE_CHECKING:
    from mmconsole.domain.filters import Filter

Wanted = Annotated[
    str | None,
    typer.Option(
        "--filter",
        metavar="FILTER",
        help="Only users whom this filter means, as 'status:expired,revoked -bot'.",
        autocompletion=completion.filter_terms,
    ),
]


def read(text: str | None) -> "Filter":
    """The filter; nothing means everybody. Of one that cannot be understood the place is shown. Raises BadFilter."""
    from mmconsole.domain.filters import parse, render  # noqa: PLC0415 - help needs no filters
    from mmconsole.errors import BadFilter  # noqa: PLC0415

    try:
        return parse(text or "")
    except BadFilter as bad:
        output.note(render(bad))
        raise


def nobody(wanted: "Filter") -> str:
    """What is said of a list without a user."""
    return "This filter means nobody." if wanted else "There is nobody in the users table."
