"""`mmconsole serve`: the HTTP service."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from mmconsole.cli import output
from mmconsole.cli.run import given
from mmconsole.errors import MmconsoleError

if TYPE_CHECKING:
    from mmconsole.cli.loop import Interrupts
    from mmconsole.config import Settings
    from mmconsole.core import Core
    from mmconsole.web import Listener, Shared

EXAMPLES: Final = """\b
Examples:
  mmconsole serve                  on 127.0.0.1:8075, behind your web server
  mmconsole serve --listen unix:/run/mmconsole/web.sock
  mmconsole --headless serve --listen 0.0.0.0:8075 --workers 2

It must be reached under Mattermost's own host name, since that is where browsers send its cookies: `web.public_url`
names the address, and the folder deploy/ has the lines for nginx and Caddy. `mmconsole api-keys create` makes the key
with which the application calls.
"""


def serve(
    context: typer.Context,
    *,
    listen: Annotated[
        str | None, typer.Option("--listen", metavar="ADDRESS", help="HOST:PORT or unix:PATH; as web.listen.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", min=1, max=64, help="Processes; as web.workers.")
    ] = None,
) -> None:
    """Run the HTTP service: magic links, the application's calls. It follows changes too, as `watch` does."""
    settings = given(context).settings({"web.listen": ("--listen", listen), "web.workers": ("--workers", workers)})
    settings.check_web()
    from mmconsole import web  # noqa: PLC0415 - it imports FastAPI

    web.set_up_log(settings.values.web.log)
    with web.listening(settings.values.web) as listener:
        output.note(f"mmconsole listens on {listener.address}")
        # Before the processes part, so that they count together.
        shared = web.Shared.of(settings.values.web)
        if settings.values.web.workers == 1:
            _serve(settings, listener, shared)
            return
        raise typer.Exit(
            web.supervise(settings.values.web.workers, lambda place: _work(settings, listener, shared, place))
        )


def _serve(settings: "Settings", listener: "Listener", shared: "Shared") -> None:
    from mmconsole import web  # noqa: PLC0415
    from mmconsole.cli.loop import run_core  # noqa: PLC0415
    from mmconsole.cli.watch import alongside  # noqa: PLC0415

    async def work(core: "Core", interrupts: "Interrupts") -> None:
        interrupts.of = "request"
        async with alongside(core, interrupts):
            await web.serve(core.gateway, listener, interrupts, shared)

    run_core(settings, work, face="serve", stays=True)


def _work(settings: "Settings", listener: "Listener", shared: "Shared", place: int) -> int:
    """One of several processes. Returns its exit code."""
    shared.metrics.be(place)
    try:
        _serve(settings, listener, shared)
    except MmconsoleError as fault:
        output.note(f"mmconsole: {output.visible(str(fault))}")
        return fault.exit_code
    return 0
