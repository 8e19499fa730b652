"""`mmconsole simulator`: a Mattermost in one process, to try things against."""

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mmconsole.cli import output
from mmconsole.errors import CannotListen, UsageError

if TYPE_CHECKING:
    from mmconsole.simulator import RateLimit, Simulator

EXAMPLES: Final = """\b
Examples:
  mmconsole simulator
  mmconsole simulator --users 1000 --with-tokens --rate-limit 50:100
  mmconsole simulator --listen 127.0.0.1:0 --json --cost real

It keeps everything in memory and knows no real secret. Ctrl-C ends it.
"""
_LATENCY: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s)\Z")
_RATE: Final = re.compile(r"(\d+(?:\.\d+)?)(?::(\d+))?\Z")
_VERSION: Final = re.compile(r"\d+\.\d+(\.\d+)?\Z")


class Cost(StrEnum):
    """Whether its calls take the time that a real server's take."""

    NONE = "none"
    REAL = "real"


def simulator(  # noqa: PLR0913 - one parameter per option
    *,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to listen; port 0 takes a free one.")
    ] = "127.0.0.1:9065",
    users: Annotated[int, typer.Option(min=0, metavar="N", help="How many people it has.")] = 0,
    seed: Annotated[int, typer.Option(metavar="S", help="The same seed makes the same ids and tokens.")] = 1,
    empty: Annotated[bool, typer.Option("--empty", help="A new installation, without an administrator.")] = False,
    rate_limit: Annotated[
        str | None, typer.Option(metavar="PER_SECOND[:BURST]", help="Answer 429 above this rate.")
    ] = None,
    user_cap: Annotated[int | None, typer.Option(min=1, metavar="N", help="Take no more than N active users.")] = None,
    latency: Annotated[str, typer.Option(metavar="TIME", help="Wait before each answer, as 10ms.")] = "0ms",
    cost: Annotated[Cost, typer.Option(help="Let calls take as long as on a real server.")] = Cost.NONE,
    version: Annotated[str, typer.Option(metavar="VERSION", help="Behave like this version.")] = "11.6.0",
    subpath: Annotated[str, typer.Option(metavar="PATH", help="Live below a path, as /chat.")] = "",
    with_tokens: Annotated[bool, typer.Option("--with-tokens", help="Give each of its people a token.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the address and token as one line of JSON.")] = False,
) -> None:
    """Run a made-up Mattermost, to try mmconsole without a real one."""
    host, port = _address(listen)
    if not _VERSION.match(version):
        raise UsageError(why=f"`{output.visible(version)}` is not a version, as 11.6.0.")
    limit, seconds = _rate(rate_limit), _seconds(latency)
    from mmconsole.simulator import SimulatorOptions, run  # noqa: PLC0415 - help needs no server

    options = SimulatorOptions(
        users=users,
        seed=seed,
        empty=empty,
        rate_limit=limit,
        user_cap=user_cap,
        latency=seconds,
        cost="real" if cost is Cost.REAL else "none",
        version=version,
        subpath=subpath,
        with_tokens=with_tokens,
    )
    try:
        run(options, host, port, lambda url, server: _announce(url, server, json=json))
    except OSError as fault:
        why = (fault.strerror or "it is taken").partition(" (")[0]
        raise CannotListen(address=listen, why=f"{why}; name another address with --listen") from fault


def _announce(url: str, server: "Simulator", *, json: bool) -> None:
    with output.reader():
        if json:
            output.write_json({"url": url, "admin_token": server.admin_token})
            return
        output.write(f"A made-up Mattermost {server.options.version} listens at {url}")
        if server.admin_token:
            output.write(f"Its admin token (made up, too): {server.admin_token}")
        output.write("Ctrl-C ends it.")


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004 - the highest port there is
        raise UsageError(why=f"`{output.visible(text)}` is not an address to listen on, as 127.0.0.1:9065.")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _rate(text: str | None) -> "RateLimit | None":
    if text is None:
        return None
    match = _RATE.match(text)
    if match is None or float(match[1]) <= 0:
        raise UsageError(why=f"`{output.visible(text)}` is not a rate, as 50 or 50:100.")
    from mmconsole.simulator import RateLimit  # noqa: PLC0415

    return RateLimit(float(match[1]), int(match[2])) if match[2] else RateLimit(float(match[1]))


def _seconds(text: str) -> float:
    match = _LATENCY.match(text)
    if match is None:
        raise UsageError(why=f"`{output.visible(text)}` is not a time, as 10ms or 0.5s.")
    return float(match[1]) / (1000 if match[2] == "ms" else 1)
