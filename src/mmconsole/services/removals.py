"""Removals: tokens revoked and accounts deactivated, each after one more look at the row and the account."""

from dataclasses import replace
from functools import partial

from mmconsole.database import Database, PerhapsUser, Snapshot
from mmconsole.domain.activity import Activity, Level
from mmconsole.domain.plans import Kind, Outcome, Result, UserPlan
from mmconsole.domain.tokens import Health, TokenRecord
from mmconsole.domain.users import UserId
from mmconsole.errors import MmconsoleError, NotFound, Refused
from mmconsole.services.changes import keep, note
from mmconsole.services.jobs import ENDS_THE_RUN
from mmconsole.services.runs import Run
from mmconsole.services.server import Server
from mmconsole.services.tokens.making import Tokens


class Removals:
    """Does the removing steps of one user at a time."""

    def __init__(self, database: Database, server: Server, tokens: Tokens, run: Run) -> None:
        self._database = database
        self._server = server
        self._tokens = tokens
        self._run = run

    async def remove(self, plan: UserPlan) -> Result:
        """Revoke and deactivate, after the row was read once more by its key and the account by its id."""
        user, record = await self._database.read(partial(_as_they_are, user_id=plan.user_id))
        if user is not None and user.active:
            return Result(plan.user_id, Outcome.SKIPPED, "the row is there and active again")
        if record is None:
            return Result(plan.user_id, Outcome.SKIPPED, "nothing is known of this user any more")
        try:
            await self._remove_for_good(plan, record)
        except ENDS_THE_RUN:
            raise
        except MmconsoleError as fault:
            await self._run.write(note(failed(plan.user_id, fault, self._run)))
            return Result(plan.user_id, Outcome.FAILED, str(fault))
        return Result(plan.user_id, Outcome.REMOVED, plan.why)

    async def _remove_for_good(self, plan: UserPlan, record: TokenRecord) -> None:
        client = await self._server.client()
        if Kind.REVOKE in plan.steps:
            record = await self._tokens.revoke(record, self._run, why=plan.why)
        if Kind.DEACTIVATE not in plan.steps or record.account_id is None:
            return
        try:
            account = await client.account(record.account_id)
        except NotFound:
            return
        if account.privileged or account.foreign or not account.active:
            return
        # Written down before it is done: only what we deactivated is ever reactivated.
        record = replace(record, deactivated_by_us=True)
        await self._run.write(lambda tx: tx.tokens.save(record))
        try:
            await client.set_account_active(account.id, active=False)
        except Refused:
            await self._run.write(lambda tx: tx.tokens.save(replace(record, deactivated_by_us=False)))
            raise
        gone = replace(record, health=Health.INACTIVE, cause=plan.why)
        row = self._run.activity("account deactivated", plan.user_id, plan.why, request_id=client.last_request_id)
        await self._run.write(keep(gone, row))


def failed(user_id: UserId, fault: MmconsoleError, run: Run) -> Activity:
    """That a user's steps failed, and the server's id of the call that did."""
    return run.activity("sync failed", user_id, str(fault), level=Level.ERROR, request_id=fault.request_id)


def _as_they_are(db: Snapshot, *, user_id: UserId) -> PerhapsUser:
    """The row, if there is one, and what we remember."""
    user, record = db.roster.row(user_id)
    return (user, record) if user else (None, db.tokens.find(user_id))
