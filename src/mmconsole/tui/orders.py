"""What a key orders to be done on the server. The action `x` of the table is the method `do_x` here."""

from collections.abc import Callable, Coroutine
from typing import Any

from mmconsole.tui import channel_flows, job_flows, sync_flows, token_flows
from mmconsole.tui.dialogs import YES, Dialog
from mmconsole.tui.ground import Ground
from mmconsole.tui.permission import WRITABLE_FOR
from mmconsole.tui.targets import Targets

Order = Callable[[Ground, Targets], Coroutine[Any, Any, None]]


class Orders:
    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    # ── users ────────────────────────────────────────────────────────────────────────────────────

    def do_test(self) -> None:
        self._about_users(token_flows.test)

    def do_repair(self) -> None:
        self._about_users(token_flows.repair)

    def do_sync(self) -> None:
        self._about_users(sync_flows.sync_some)

    def do_add(self) -> None:
        self._about_users(channel_flows.add_to_channel)

    def do_revoke(self) -> None:
        self._about_users(token_flows.revoke, hidden=True)

    def _about_users(self, order: Order, *, hidden: bool = False) -> None:
        """`hidden` tells whether it asks about marked users who are not shown."""
        targets = self._ground.desk.targets()
        if not targets.shown and not (hidden and targets.hidden):
            self._ground.desk.say(f"{len(targets.hidden):,} marked, all hidden by the filter; esc clears it.")
            return
        self._ground.running.start(order(self._ground, targets))

    # ── everything ───────────────────────────────────────────────────────────────────────────────

    def do_sync_all(self) -> None:
        self._ground.running.start(sync_flows.sync_all(self._ground))

    def do_undo(self) -> None:
        under = self._ground.desk.job_under()
        if under is not None:
            self._ground.running.start(token_flows.undo_job(self._ground, under))
        else:
            self._ground.running.start(token_flows.undo(self._ground, self._ground.desk.targets()))

    # ── jobs ─────────────────────────────────────────────────────────────────────────────────────

    def do_open_job(self) -> None:
        job_id = self._ground.desk.job_meant()
        if job_id is not None:
            self._ground.running.start(job_flows.show(self._ground, job_id))

    def do_pause(self) -> None:
        job_id = self._ground.desk.job_meant()
        if job_id is not None:
            self._ground.running.start(job_flows.toggle(self._ground, job_id))
        else:
            self._ground.desk.say("What runs now cannot pause; ctrl+x stops it.")

    def do_stop(self) -> None:
        job_id, work = self._ground.desk.job_meant(), self._ground.running.current
        if job_id is not None:
            self._ground.running.start(job_flows.stop(self._ground, job_id))
        elif work is not None:
            # It has changed nothing yet, so there is nothing to ask.
            self._ground.running.stop(work)
            self._ground.desk.say(f"{work.title}: stopped.")

    # ── permission ───────────────────────────────────────────────────────────────────────────────

    def do_writable(self) -> None:
        permission = self._ground.permission
        if permission.writable:
            permission.lock()
            self._ground.desk.say("Nothing can be changed from here now; W allows it again.")
        elif permission.protected:
            self._ground.running.start(self._unlock())
        else:
            self._allow()

    async def _unlock(self) -> None:
        profile = self._ground.desk.profile
        lines = [f"{profile} is protected. Changes on {self._ground.core.settings.server} are allowed for {_MINUTES}."]
        dialog = Dialog("Allow changes", lines, verb="allow changes", word=profile)
        if await self._ground.running.ask(dialog) == YES:
            self._allow()

    def _allow(self) -> None:
        self._ground.permission.unlock()
        self._ground.desk.say(f"Changes are allowed for {_MINUTES}.")


_MINUTES = f"{int(WRITABLE_FOR.total_seconds() // 60)} minutes"
