"""`/docs`: every call on one page, made of our own OpenAPI description. Nothing of it is fetched, or runs."""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from html import escape
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#1b1d22;"
    "background:#fff}code,pre{font:14px/1.45 ui-monospace,monospace}"
    "h2{font-size:1.15rem}h2 code{font-size:1em}h3{font-size:1rem}"
    "pre{overflow-x:auto;padding:.6em;background:#f1f2f4}"
    "table{border-collapse:collapse}td,th{padding:.15em 1em .15em 0;text-align:left;vertical-align:top}"
    "section{border-top:1px solid #767a83;margin-top:2rem}a{color:#1c58d9}"
    "@media(prefers-color-scheme:dark){body{background:#1b1d22;color:#e8e9ec}pre{background:#2a2d34}a{color:#8fb2ff}}"
)

_CODE: Final = re.compile(r"`([^`]+)`")


def docs_page(description: Callable[[], dict[str, Any]]) -> Callable[[Request], Any]:
    """What answers at /docs. `description` is the service's OpenAPI document."""

    async def show(_: Request) -> HTMLResponse:
        return HTMLResponse(_page(description()), headers=_headers())

    return show


def _page(document: dict[str, Any]) -> str:
    calls = "".join(
        _call(path, method, call) for path, methods in document["paths"].items() for method, call in methods.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>mmconsole: calls</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><main>'
        "<h1>mmconsole: calls</h1><p>The key goes into <code>Authorization: Bearer mmc_…</code>. Errors are"
        ' <code>application/problem+json</code>. For programs: <a href="/openapi.json">openapi.json</a>.</p>'
        f"{calls}</main></body></html>"
    )


def _call(path: str, method: str, call: dict[str, Any]) -> str:
    text = "".join(f"<p>{_words(part)}</p>" for part in call.get("description", "").split("\n\n") if part)
    answers = "".join(_answer(status, answer) for status, answer in call["responses"].items())
    return (
        f"<section><h2><code>{method.upper()} {escape(path)}</code></h2>{text}{_table(_inputs(call))}"
        f"<h3>Answers</h3><table>{answers}</table></section>"
    )


def _inputs(call: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for one in call.get("parameters", ()):
        place = f"{one['in']}{', required' if one.get('required') else ''}"
        yield one["name"], place, one.get("description", "")
    if "requestBody" in call:
        yield "body", "JSON", ""


def _table(rows: Iterator[tuple[str, str, str]]) -> str:
    lines = [f"<tr><td><code>{escape(name)}</code><td>{escape(place)}<td>{_words(text)}" for name, place, text in rows]
    return f"<table>{''.join(lines)}</table>" if lines else ""


def _answer(status: str, answer: dict[str, Any]) -> str:
    examples = [kind["example"] for kind in answer.get("content", {}).values() if "example" in kind]
    shown = "".join(f"<pre>{escape(json.dumps(one, indent=2, ensure_ascii=False))}</pre>" for one in examples[:1])
    return f"<tr><th>{escape(status)}<td>{_words(answer['description'])}{shown if status == '200' else ''}"


def _words(text: str) -> str:
    """What stands between backticks is code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


@cache
def _headers() -> dict[str, str]:
    digest = b64encode(sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; frame-ancestors 'none'"
    return {"content-security-policy": policy, "referrer-policy": "no-referrer", "cache-control": "no-store"}
