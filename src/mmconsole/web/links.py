"""Magic links over HTTP: one is asked for, opened, and redeemed by a click."""

import hmac
import secrets
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from mmconsole.core import Gateway
from mmconsole.domain.callers import Scope
from mmconsole.domain.magic_links import landing_path, posted_from_elsewhere, redeems_at_once
from mmconsole.domain.secrets import Secret
from mmconsole.errors import LandingElsewhere, MmconsoleError, TicketUnknown, UsageError
from mmconsole.services.magic_links import IssuedLink
from mmconsole.web import cookies, examples
from mmconsole.web.door import Door
from mmconsole.web.journal import LOG
from mmconsole.web.pages import Reader, button_page, page_headers, refusal_page
from mmconsole.web.problems import request_id_of
from mmconsole.web.text_route import TextRoute

MAGIC_LINK: Final = "/api/mattermost/magic-link"
REDIRECT: Final = "/api/mattermost/redirect"
_FORM: Final = "application/x-www-form-urlencoded"

_User = Annotated[str | None, Query(description="The id in the users table; people may leave it out.")]
_To = Annotated[str, Query(description="Where to land, as `/team/channels/name`.")]
_TicketParameter = Annotated[str | None, Query(description="The one-time code of a link.")]


def routes(gateway: Gateway, door: Door) -> APIRouter:
    desk = _Desk(gateway, door)
    router = APIRouter(tags=["magic links"], route_class=TextRoute)
    router.add_api_route(MAGIC_LINK, desk.ask, methods=["GET"], response_model=None, responses=examples.LINK)
    router.add_api_route(REDIRECT, desk.open, methods=["GET"], response_model=None, responses=examples.REDIRECT)
    router.add_api_route(REDIRECT, desk.open, methods=["HEAD"], response_model=None, include_in_schema=False)
    router.add_api_route(REDIRECT, desk.click, methods=["POST"], response_model=None, responses=examples.CLICK)
    return router


class _Desk:
    def __init__(self, gateway: Gateway, door: Door) -> None:
        self._links = gateway.links
        self._door = door
        self._public_url = gateway.public_url
        self._mattermost_url = gateway.mattermost_url
        self._include_token = gateway.settings.include_token
        self._trust_same_site = gateway.settings.trust_same_site
        self._sees_sessions = cookies.are_sent_to(self._public_url + REDIRECT, mattermost_url=self._mattermost_url)

    async def ask(self, request: Request, user: _User = None, to: _To = "") -> Response:
        """Make a sign-in link: a URL that signs the user's browser in to Mattermost, once, within a minute or two.

        The user's token comes along unless `web.include_token` is off.
        """
        link, path = await self._issued(request, user, to)
        answer: dict[str, Any] = {"url": self._url(link, path), "expires_at": link.expires_at.isoformat()}
        if self._include_token:
            # Callers of the Laravel version read it here.
            answer = {"token": link.token.reveal(), **answer}
        return JSONResponse(answer, headers={"cache-control": "no-store"})

    async def open(
        self, request: Request, ticket: _TicketParameter = None, user: _User = None, to: _To = ""
    ) -> Response:
        """Open a link. A person's click on a page of this site signs in at once; anything else gets a button first,
        also a click that would replace somebody else's session.

        Without a ticket, a caller who is authenticated by header is sent to a new link.
        """
        if ticket is None:
            link, path = await self._issued(request, user, to)
            return RedirectResponse(self._url(link, path), 303, headers={"cache-control": "no-store"})
        try:
            return await self._opened(request, Secret(ticket), to)
        except MmconsoleError as fault:
            return self._refused(request, fault)

    async def click(self, request: Request) -> Response:
        """Redeem a link with its button."""
        try:
            return await self._clicked(request)
        except MmconsoleError as fault:
            return self._refused(request, fault)

    # ── issuing ──────────────────────────────────────────────────────────────────────────────────

    async def _issued(self, request: Request, user: str | None, to: str) -> tuple[IssuedLink, str]:
        caller, user_id = await self._door.caller_for(request, Scope.LINK, user)
        path = _path(to)
        return await self._links.issue(user_id, by=caller.name), path

    def _url(self, link: IssuedLink, path: str) -> str:
        # From the settings, never from the Host header, which is the caller's own word.
        to = f"&to={quote(path, safe='')}" if path else ""
        return f"{self._public_url}{REDIRECT}?ticket={link.code.reveal()}{to}"

    # ── redeeming ────────────────────────────────────────────────────────────────────────────────

    async def _opened(self, request: Request, code: Secret, to: str) -> Response:
        origin = self._door.origin(request)
        self._door.rates.address.take(origin.counted)
        path = _path(to)
        clicked = redeems_at_once(request.method, dict(request.headers), trust_same_site=self._trust_same_site)
        if clicked and not await self._replaces_session(request, code, origin.address):
            return await self._redeemed(code, path, origin.address)
        return await self._button(request, code, path, origin.address)

    async def _replaces_session(self, request: Request, code: Secret, address: str) -> bool:
        """Links can be posted in Mattermost itself: a reader's click there must not sign them in as the author.

        Where sessions cannot be seen there may be one.
        """
        if not self._sees_sessions:
            return True
        if not request.cookies.get("MMAUTHTOKEN"):
            return False
        invitation = await self._links.look(code, at=address)
        return cookies.signed_in_as_another(request.cookies, invitation.account_id)

    async def _clicked(self, request: Request) -> Response:
        origin = self._door.origin(request)
        self._door.rates.address.take(origin.counted)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
            raise UsageError(why="a form is expected.")
        form = await request.form(max_files=0, max_fields=10)
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        code, path = Secret(fields.get("ticket", "")), _path(fields.get("to", ""))
        shown = request.cookies.get(cookies.nonce_cookie_name(self._public_url), "")
        known = bool(shown) and hmac.compare_digest(shown.encode(), fields.get("nonce", "").encode())
        if not known or posted_from_elsewhere(dict(request.headers)):
            # Another site's form, or a browser that lost the cookie: a person decides.
            return await self._button(request, code, path, origin.address, status=403)
        return await self._redeemed(code, path, origin.address)

    async def _button(
        self, request: Request, code: Secret, path: str, address: str, *, status: int = 200
    ) -> HTMLResponse:
        invitation, nonce = await self._links.look(code, at=address), secrets.token_urlsafe(24)
        page = button_page(
            self._reader(request),
            invitation,
            action=f"{self._public_url}{REDIRECT}",
            ticket=code.reveal(),
            to=path,
            nonce=nonce,
            status=status,
        )
        page.headers.append("set-cookie", cookies.nonce_cookie(nonce, public_url=self._public_url))
        return page

    async def _redeemed(self, code: Secret, path: str, address: str) -> Response:
        entered = await self._links.redeem(code, at=address)
        headers = page_headers(self._mattermost_url) | {"location": f"{self._mattermost_url}{path or '/'}"}
        answer = Response(status_code=303, headers=headers)
        places = {"public_url": self._public_url, "mattermost_url": self._mattermost_url}
        for line in (*cookies.sign_in_cookies(entered, **places), cookies.cleared_nonce(self._public_url)):
            answer.headers.append("set-cookie", line)
        return answer

    def _refused(self, request: Request, fault: MmconsoleError) -> HTMLResponse:
        if not isinstance(fault, TicketUnknown):
            LOG.info("%s %s: %s", request_id_of(request), type(fault).__name__, fault)
        return refusal_page(self._reader(request), fault)

    def _reader(self, request: Request) -> Reader:
        return Reader(request.headers.get("accept-language", ""), self._mattermost_url, request_id_of(request))


def _path(to: str) -> str:
    """Raises LandingElsewhere."""
    path = landing_path(to)
    if path is None:
        raise LandingElsewhere
    return path
