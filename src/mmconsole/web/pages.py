"""The pages that people see: a button, or why there is none. In English and German, without any script."""

from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from html import escape
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse

from mmconsole.domain.text import visible
from mmconsole.errors import (
    LandingElsewhere,
    MmconsoleError,
    TicketExpired,
    TicketSpent,
    TicketUnknown,
    TooManyRequests,
)
from mmconsole.services.magic_links import Invitation
from mmconsole.web.problems import SERVER_FAULTS

_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{font:18px/1.5 system-ui,sans-serif;max-width:30rem;margin:12vh auto;padding:0 1rem;color:#1b1d22;"
    "background:#fff;overflow-wrap:anywhere}h1{font-size:1.6rem;line-height:1.25}"
    "button{font:inherit;font-weight:600;padding:.6em 1.4em;border:0;border-radius:6px;"
    "background:#1c58d9;color:#fff}button:focus-visible{outline:3px solid #1b1d22;outline-offset:2px}"
    "small{color:#4a4d55}@media(prefers-color-scheme:dark){body{background:#1b1d22;color:#e8e9ec}"
    "small{color:#b5b8c0}button:focus-visible{outline-color:#fff}}"
)


@dataclass(frozen=True, slots=True)
class _Words:
    """Every sentence of a language."""

    code: str
    title: str
    as_whom: str
    replaces: str
    button: str
    no_link: str
    not_now: str
    spent: str
    expired: str
    unknown: str
    elsewhere: str
    later: str
    too_many: str
    refused: str
    report: str


_ENGLISH: Final = _Words(
    "en",
    "Sign in to Mattermost",
    "You will be signed in as <strong><bdi>{who}</bdi></strong>.",
    "If this browser is signed in as somebody else, that session is replaced. Go on only if you asked for this link.",
    "Sign in",
    "This link cannot be used",
    "Not right now",
    "It has already been used. Ask for a new one where you got it.",
    "It has expired. Ask for a new one where you got it.",
    "It is not known here. Ask for a new one where you got it.",
    "It leads somewhere else than to Mattermost.",
    "Mattermost cannot be reached right now. The link stays good for as long as it lives; try again in a moment.",
    "There were too many attempts from here. Wait a minute, and then open the link again.",
    "Your access is not open at the moment. Ask whoever looks after Mattermost.",
    "If you report this, name the number {request_id}.",
)
_GERMAN: Final = _Words(
    "de",
    "Bei Mattermost anmelden",
    "Sie werden als <strong><bdi>{who}</bdi></strong> angemeldet.",
    "Ist in diesem Browser jemand anderes angemeldet, wird diese Sitzung ersetzt. Fahren Sie nur fort, wenn Sie diesen"
    " Link selbst angefordert haben.",
    "Anmelden",
    "Dieser Link kann nicht verwendet werden",
    "Gerade nicht möglich",
    "Er wurde bereits benutzt. Fordern Sie dort, wo Sie ihn bekommen haben, einen neuen an.",
    "Er ist abgelaufen. Fordern Sie dort, wo Sie ihn bekommen haben, einen neuen an.",
    "Er ist hier nicht bekannt. Fordern Sie dort, wo Sie ihn bekommen haben, einen neuen an.",
    "Er führt woandershin als zu Mattermost.",
    "Mattermost ist gerade nicht erreichbar. Der Link bleibt gültig, solange er nicht abläuft; versuchen Sie es gleich"
    " noch einmal.",
    "Von hier kamen zu viele Versuche. Warten Sie eine Minute, und öffnen Sie den Link dann noch einmal.",
    "Ihr Zugang ist zurzeit nicht offen. Wenden Sie sich an die Betreuung von Mattermost.",
    "Wenn Sie das melden, nennen Sie die Nummer {request_id}.",
)


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a page, and where it may send them."""

    language: str
    """The browser's Accept-Language."""
    mattermost_url: str
    request_id: str


def button_page(  # noqa: PLR0913 - what stands on it
    reader: Reader, invitation: Invitation, *, action: str, ticket: str, to: str, nonce: str, status: int = 200
) -> HTMLResponse:
    """As whom one would be signed in, and the button that does it."""
    words = _words(reader.language)
    who = escape(visible(_named(invitation)))
    fields = {"ticket": ticket, "to": to, "nonce": nonce}
    hidden = "".join(f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in fields.items())
    body = (
        f"<h1>{words.title}</h1><p>{words.as_whom.format(who=who)}</p>"
        f'<form method="post" action="{escape(action)}">{hidden}<button type="submit">{words.button}</button></form>'
        f"<p><small>{words.replaces}</small></p>"
    )
    return _page(reader, words, words.title, body, status)


def refusal_page(reader: Reader, fault: MmconsoleError) -> HTMLResponse:
    """Why a link cannot be used, in words that give nothing away."""
    words = _words(reader.language)
    report = words.report.format(request_id=escape(reader.request_id))
    title, sentence = _told(words, fault)
    body = f"<h1>{title}</h1><p>{sentence}</p><p><small>{report}</small></p>"
    return _page(reader, words, title, body, fault.http_status)


def _told(words: _Words, fault: MmconsoleError) -> tuple[str, str]:
    """The headline, and what to do."""
    known: dict[type[MmconsoleError], str] = {
        TicketSpent: words.spent,
        TicketExpired: words.expired,
        TicketUnknown: words.unknown,
        LandingElsewhere: words.elsewhere,
    }
    if isinstance(fault, TooManyRequests):
        return words.not_now, words.too_many
    if fault.http_status >= SERVER_FAULTS:
        return words.not_now, words.later
    return words.no_link, known.get(type(fault), words.refused)


def _named(invitation: Invitation) -> str:
    if invitation.name and invitation.address:
        return f"{invitation.name} ({invitation.address})"
    return invitation.name or invitation.address or invitation.user_id


def _words(accepted: str) -> _Words:
    """German for whoever prefers it to English."""
    wishes: dict[str, float] = {}
    for part in accepted.lower().split(","):
        name, _, weight = part.strip().partition(";q=")
        wishes.setdefault(name.partition("-")[0], _weight(weight))
    return _GERMAN if wishes.get("de", 0.0) > wishes.get("en", 0.0) else _ENGLISH


def _weight(text: str) -> float:
    try:
        return float(text or 1)
    except ValueError:
        return 0.0


def _page(reader: Reader, words: _Words, title: str, body: str, status: int) -> HTMLResponse:
    text = (
        f'<!doctype html><html lang="{words.code}"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
        f"<style>{_STYLE}</style></head><body><main>{body}</main></body></html>"
    )
    return HTMLResponse(text, status, {**page_headers(reader.mattermost_url), "content-language": words.code})


def page_headers(mattermost_url: str) -> dict[str, str]:
    """No script, no frame, no referrer, no copy. A form's redirect counts as its target, so Mattermost is allowed."""
    parts = urlsplit(mattermost_url)
    policy = (
        f"default-src 'none'; style-src 'sha256-{_style_digest()}'; base-uri 'none'; frame-ancestors 'none';"
        f" form-action 'self' {parts.scheme}://{parts.netloc}"
    )
    return {
        "content-security-policy": policy,
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "vary": "Accept-Language",
    }


@cache
def _style_digest() -> str:
    return b64encode(sha256(_STYLE.encode()).digest()).decode()
