"""The vault: what is sealed opens in its own place, and nowhere else."""

import string
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Collection
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from mmconsole.config import Settings
from mmconsole.domain.secrets import Secret
from mmconsole.domain.users import UserId
from mmconsole.errors import CannotOpen, Damaged, LaravelKeyMissing, SealKeyMissing, SecretError
from mmconsole.secrets import Form, LaravelKeys, SealKeys, Vault, form_of, laravel_keys, open_vault, seal_keys
from mmconsole.secrets.forms import WIDTHS

TOKEN = Secret("k3yq9jc9ab8kzfm1jd6m7w5ype")
Silence = Callable[[BaseException, str], None]
ANN = UserId("1")
BOB = UserId("2")
KEYS = seal_keys.in_memory()
APP_KEYS = laravel_keys.from_text(Secret("0123456789abcdef" * 2), cipher="AES-256-CBC", source="test")
CHARACTERS = string.ascii_letters + string.digits + "-_$=+/ \n\x00é"

tokens = st.text(string.ascii_lowercase + string.digits, min_size=26, max_size=26).map(Secret)
user_ids = st.text(st.characters(), max_size=40).map(UserId)


def vault(
    storage: Form = Form.SEALED,
    accept: Collection[Form] = (),
    keys: SealKeys | None = KEYS,
    laravel: LaravelKeys | None = APP_KEYS,
    **others: str,
) -> Vault:
    place = {"installation_id": "i1", "table": "users", "column": "mattermost_token"} | others
    return Vault(storage=storage, accept=accept, keys=keys, laravel=laravel, **place)


@given(st.text(st.characters()).map(Secret), user_ids)
def test_what_was_sealed_opens_again(secret: Secret, user_id: UserId) -> None:
    sealed = vault().seal(secret, user_id)

    assert vault().open(sealed, user_id) == secret
    assert form_of(sealed) is Form.SEALED


@given(tokens)
def test_nothing_of_a_token_is_in_its_envelope(token: Secret) -> None:
    sealed = vault().seal(token, ANN)

    assert sealed.startswith(f"mm1${KEYS.current.id}$")
    assert not any(token.reveal()[at : at + 8] in sealed for at in range(19))
    assert len(sealed) == len(f"mm1${KEYS.current.id}$") + 72


def test_no_two_envelopes_are_alike() -> None:
    sealed = {vault().seal(TOKEN, ANN) for _ in range(1000)}

    assert len(sealed) == 1000


@given(tokens, st.data())
def test_an_envelope_with_any_changed_character_does_not_open(
    assert_silent: Silence, token: Secret, data: st.DataObject
) -> None:
    sealed = vault().seal(token, ANN)
    at = data.draw(st.integers(0, len(sealed) - 1))
    other = data.draw(st.sampled_from(CHARACTERS).filter(lambda character: character != sealed[at]))

    with pytest.raises(CannotOpen) as caught:
        vault().open(sealed[:at] + other + sealed[at + 1 :], ANN)

    assert_silent(caught.value, token.reveal())


@given(st.binary(min_size=1, max_size=5).map(lambda raw: Secret(raw.hex()[:-1])), st.data())
def test_that_holds_for_every_length(secret: Secret, data: st.DataObject) -> None:
    # The last character of base64 may have unused bits.
    sealed = vault().seal(secret, ANN)
    other = data.draw(st.sampled_from(CHARACTERS).filter(lambda character: character != sealed[-1]))

    with pytest.raises(CannotOpen):
        vault().open(sealed[:-1] + other, ANN)


@given(tokens, st.data())
def test_a_truncated_or_lengthened_envelope_does_not_open(token: Secret, data: st.DataObject) -> None:
    sealed = vault().seal(token, ANN)
    kept = data.draw(st.integers(0, len(sealed) - 1))

    for text in (sealed[:kept], sealed + "A", sealed + "=", sealed + "\n", sealed * 2):
        with pytest.raises(CannotOpen):
            vault().open(text, ANN)


@given(user_ids, user_ids)
def test_an_envelope_copied_to_another_row_does_not_open(one: UserId, other: UserId) -> None:
    sealed = vault().seal(TOKEN, one)

    if one == other:
        assert vault().open(sealed, other) == TOKEN
        return
    with pytest.raises(CannotOpen):
        vault().open(sealed, other)


@pytest.mark.parametrize("place", [{"column": "other"}, {"table": "other"}, {"installation_id": "other"}])
def test_an_envelope_copied_to_another_column_table_or_installation_does_not_open(place: Any) -> None:
    sealed = vault().seal(TOKEN, ANN)

    with pytest.raises(CannotOpen, match="another row or another installation"):
        vault(**place).open(sealed, ANN)


def test_the_associated_data_is_the_documented_one() -> None:
    prefix, key_id, encoded = vault().seal(TOKEN, ANN).split("$")
    raw = urlsafe_b64decode(encoded)

    opened = AESGCM(KEYS.current.material()).decrypt(raw[:12], raw[12:], b"mmconsole|v1|i1|users|mattermost_token|1")
    assert (prefix, key_id, opened.decode()) == ("mm1", KEYS.current.id, TOKEN.reveal())


@pytest.mark.parametrize("place", [{"column": "a|b"}, {"table": "a|b"}, {"installation_id": "a|b"}])
def test_names_that_would_make_the_place_ambiguous_are_refused(place: Any) -> None:
    with pytest.raises(SecretError, match=r"\|"):
        vault(**place)


def test_an_unknown_key_is_named() -> None:
    sealed = vault(keys=seal_keys.in_memory()).seal(TOKEN, ANN)

    with pytest.raises(CannotOpen, match=f"the key {sealed.split('$')[1]}, which is not here"):
        vault().open(sealed, ANN)


def test_after_a_new_key_the_old_one_still_opens_and_the_new_one_seals() -> None:
    sealed = vault().seal(TOKEN, ANN)
    both = SealKeys((*seal_keys.in_memory().keys, *KEYS.keys))

    assert vault(keys=both).open(sealed, ANN) == TOKEN
    assert vault(keys=both).seal(TOKEN, ANN).split("$")[1] == both.current.id


def test_plain_storage_stores_the_token_itself_and_needs_no_key() -> None:
    plain = vault(Form.PLAIN, keys=None)

    assert plain.seal(TOKEN, ANN) == TOKEN.reveal()
    assert plain.open(TOKEN.reveal(), BOB) == TOKEN
    assert plain.fingerprint(TOKEN) == ""


def test_plain_storage_stores_nothing_that_it_would_not_read_again(assert_silent: Silence) -> None:
    upper = TOKEN.reveal().upper()

    with pytest.raises(SecretError) as caught:
        vault(Form.PLAIN).seal(Secret(upper), ANN)

    assert_silent(caught.value, upper)


def test_a_form_is_read_only_if_it_is_accepted(assert_silent: Silence) -> None:
    sealed = vault().seal(TOKEN, ANN)

    with pytest.raises(CannotOpen, match="stored as `plain`") as caught:
        vault().open(TOKEN.reveal(), ANN)
    with pytest.raises(CannotOpen, match="stored as `sealed`"):
        vault(Form.PLAIN).open(sealed, ANN)

    assert_silent(caught.value, TOKEN.reveal())
    assert vault(accept=[Form.PLAIN]).open(TOKEN.reveal(), ANN) == TOKEN
    assert vault(Form.PLAIN, accept=[Form.SEALED]).open(sealed, ANN) == TOKEN


@pytest.mark.parametrize("storage", list(Form))
def test_every_form_opens_what_it_wrote_and_knows_it_as_current(storage: Form) -> None:
    one = vault(storage, accept=list(Form))

    text = one.seal(TOKEN, ANN)

    assert form_of(text) is storage
    assert len(text) <= WIDTHS[storage]
    assert one.open(text, ANN) == TOKEN
    assert one.is_current(text)
    assert not any(vault(other, accept=list(Form)).is_current(text) for other in Form if other is not storage)


def test_what_an_older_key_wrote_is_not_current() -> None:
    older = laravel_keys.from_text(Secret("fedcba9876543210" * 2), cipher="AES-256-CBC", source="test")
    both = LaravelKeys("AES-256-CBC", (*APP_KEYS.keys, *older.keys), "test")
    sealed = vault().seal(TOKEN, ANN)
    crypted = vault(Form.LARAVEL, laravel=older).seal(TOKEN, ANN)

    assert not vault(keys=SealKeys((*seal_keys.in_memory().keys, *KEYS.keys))).is_current(sealed)
    assert not vault(Form.LARAVEL, laravel=both).is_current(crypted)
    assert vault(Form.LARAVEL, laravel=both).key_of(crypted) == older.current.id
    assert vault(Form.LARAVEL, laravel=both).open(crypted, ANN) == TOKEN


def test_a_value_of_laravel_that_a_narrow_column_cut_off_is_damaged(assert_silent: Silence) -> None:
    one = vault(Form.LARAVEL)

    with pytest.raises(Damaged, match="cut short") as caught:
        one.open(one.seal(TOKEN, ANN)[:200], ANN)

    assert_silent(caught.value, TOKEN.reveal())


@given(st.text(st.characters()))
def test_what_has_no_form_does_not_open_and_is_not_shown(text: str) -> None:
    everything = vault(accept=list(Form))
    if form_of(text) is Form.PLAIN:
        return

    with pytest.raises(CannotOpen) as caught:
        everything.open(text, ANN)

    if len(text) >= 20:
        assert text not in str(caught.value)


def test_a_fingerprint_tells_tokens_apart_and_depends_on_key_and_installation() -> None:
    fingerprint = vault().fingerprint(TOKEN)

    assert fingerprint == vault().fingerprint(Secret(TOKEN.reveal()))
    assert len(bytes.fromhex(fingerprint)) == 32
    others = {
        vault().fingerprint(Secret("another")),
        vault(keys=seal_keys.in_memory()).fingerprint(TOKEN),
        vault(installation_id="i2").fingerprint(TOKEN),
    }
    assert len(others | {fingerprint}) == 4


def test_a_fingerprint_is_kept_for_sealed_storage_alone_and_known_under_every_key() -> None:
    new = seal_keys.in_memory()
    both = vault(keys=SealKeys((*new.keys, *KEYS.keys)))

    assert both.fingerprints(TOKEN) == [vault(keys=new).fingerprint(TOKEN), vault().fingerprint(TOKEN)]
    assert both.fingerprint(TOKEN) == vault(keys=new).fingerprint(TOKEN)
    for storage in (Form.PLAIN, Form.LARAVEL):
        assert vault(storage, accept=[Form.SEALED]).fingerprint(TOKEN) == ""
        assert vault(storage, accept=[Form.SEALED]).fingerprints(TOKEN) == []


def test_a_form_without_its_keys_is_refused_at_once() -> None:
    with pytest.raises(SealKeyMissing):
        vault(keys=None)
    with pytest.raises(SealKeyMissing):
        vault(Form.PLAIN, accept=[Form.SEALED], keys=None)
    with pytest.raises(LaravelKeyMissing):
        vault(accept=[Form.LARAVEL], laravel=None)


def test_keys_are_not_shown() -> None:
    text = KEYS.current.secret.reveal()

    for shown in (repr(KEYS), str(KEYS), repr(KEYS.current), repr(vars(vault()))):
        assert not any(text[at : at + 8] in shown for at in range(len(text) - 7))


def test_a_hundred_thousand_envelopes_open_in_seconds() -> None:
    one = vault()
    envelopes = [one.seal(TOKEN, UserId(str(row))) for row in range(10_000)]

    start = time.process_time()
    for row, envelope in enumerate(envelopes):
        one.open(envelope, UserId(str(row)))

    # A tenth of them, on a slow machine; a fast one takes a tenth of that.
    assert time.process_time() - start < 2


def test_a_vault_of_the_settings_reads_keys_only_if_they_are_needed(
    settings_of: Callable[..., Settings], tmp_path: Any
) -> None:
    seal = {"source": "file", "file": str(tmp_path / "keys")}
    plain = settings_of(seal=seal, tokens={"storage": "plain"}, database={"url": "x", "users": {"token": "pat"}})
    sealed = settings_of(seal=seal, database={"url": "x", "users": {"token": "pat"}})

    assert open_vault(plain, installation_id="i1").seal(TOKEN, ANN) == TOKEN.reveal()
    with pytest.raises(SealKeyMissing):
        open_vault(sealed, installation_id="i1")
    keys = seal_keys.init(sealed)
    text = open_vault(sealed, installation_id="i1").seal(TOKEN, ANN)
    assert vault(keys=keys, column="pat").open(text, ANN) == TOKEN
