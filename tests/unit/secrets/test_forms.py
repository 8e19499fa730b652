"""Telling the forms of a stored secret apart."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmconsole.secrets import Form, form_of

VECTORS = json.loads((Path(__file__).parents[2] / "data" / "laravel-crypt-vectors.json").read_text())


def laravel(parts: object) -> str:
    return base64.b64encode(json.dumps(parts).encode()).decode()


@pytest.mark.parametrize("vector", VECTORS)
@pytest.mark.parametrize("call", ["encryptString", "encrypt"])
def test_what_laravel_wrote_is_known_as_laravel(vector: dict[str, str], call: str) -> None:
    assert form_of(vector[call]) is Form.LARAVEL


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("o1tq9jc9ab8kzfm1jd6m7w5ype", Form.PLAIN),
        ("mm1$k1$AAAA", Form.SEALED),
        ("mm1$", Form.SEALED),
        (laravel({"iv": "", "value": "", "mac": ""}), Form.LARAVEL),
        ("", None),
        ("o1tq9jc9ab8kzfm1jd6m7w5yp", None),
        ("o1tq9jc9ab8kzfm1jd6m7w5ypee", None),
        ("O1TQ9JC9AB8KZFM1JD6M7W5YPE", None),
        ("o1tq9jc9ab8kzfm1jd6m7w5ype\n", None),
        (" o1tq9jc9ab8kzfm1jd6m7w5ype", None),
        ("mm2$k1$AAAA", None),
        ("eyJ", None),
        ("eyJ!", None),
        (laravel({"iv": "", "value": ""}), None),
        (laravel({"iv": 1, "value": "", "mac": ""}), None),
        (laravel({"iv": "", "value": "", "mac": ""}) + "\n", None),
        (base64.b64encode(b'{"' + b"[" * 30_000).decode(), None),
        (base64.b64encode(b'{"a":' + b"[" * 30_000).decode(), None),
        ("eyJ" + "A" * 70_000, None),
    ],
)
def test_the_form_of_a_text(text: str, form: Form | None) -> None:
    assert form_of(text) is form


@given(st.text(st.characters()) | st.binary().map(lambda raw: base64.b64encode(b'{"' + raw).decode()))
def test_every_text_has_a_form_or_none(text: str) -> None:
    assert form_of(text) in {None, *Form}
