"""Sealing, the key ring and the key files."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from hub import vault
from hub.errors import SettingsError
from hub.settings import Settings
from hub.store.people import make_key, open_key, open_keys
from hub.store.tables import PersonKey
from hub.vault import CannotOpen, KeyRing, Keys, load_keys, make_keys, new_key, seal, seal_json, unseal, unseal_json

KEY = bytes(range(32))


@given(st.binary(max_size=200), st.text(max_size=40))
def test_what_is_sealed_opens_again(plain: bytes, about: str) -> None:
    assert unseal(KEY, seal(KEY, plain, about), about) == plain


@given(st.dictionaries(st.text(max_size=10), st.none() | st.text(max_size=10) | st.integers()))
def test_json_comes_back_as_it_was(value: dict[str, object]) -> None:
    assert unseal_json(KEY, seal_json(KEY, value, "x"), "x") == value


def test_the_same_thing_sealed_twice_looks_different() -> None:
    assert seal(KEY, b"0311164234", "x") != seal(KEY, b"0311164234", "x")


def test_every_single_bit_counts() -> None:
    sealed = seal(KEY, b"Ida", "child:1")
    for place in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(CannotOpen):
            unseal(KEY, bytes(changed), "child:1")


def test_what_is_cut_short_or_longer_does_not_open() -> None:
    sealed = seal(KEY, b"Ida", "child:1")
    for length in range(len(sealed)):
        with pytest.raises(CannotOpen):
            unseal(KEY, sealed[:length], "child:1")
    with pytest.raises(CannotOpen):
        unseal(KEY, sealed + b"\0", "child:1")


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_sealed_value_does_not_open_elsewhere(about: str, other: str) -> None:
    sealed = seal(KEY, b"Ida", about)
    if about != other:
        with pytest.raises(CannotOpen):
            unseal(KEY, sealed, other)


def test_another_key_does_not_open() -> None:
    with pytest.raises(CannotOpen):
        unseal(new_key(), seal(KEY, b"Ida", "x"), "x")


def test_the_refusal_says_what_did_not_open_and_shows_nothing_of_it() -> None:
    with pytest.raises(CannotOpen, match="a sealed child:1 does not open") as caught:
        unseal(new_key(), seal(KEY, b"Ida", "child:1"), "child:1")
    assert "Ida" not in str(caught.value)


def test_a_value_moved_to_another_row_or_column_does_not_open(session: Session, keys: Keys) -> None:
    """As an attacker with the database would: copy a value that is sealed under the same person's key."""
    key_id, key = make_key(session, keys)
    session.flush()
    key = open_key(session, keys, key_id)
    first, second = uuid4(), uuid4()
    sealed = seal_json(key, {"kind": "x"}, f"case:{first}")
    assert unseal_json(key, sealed, f"case:{first}") == {"kind": "x"}
    for elsewhere in (f"case:{second}", f"child:{first}", f"log-subject:{first}"):
        with pytest.raises(CannotOpen):
            unseal_json(key, sealed, elsewhere)


def test_a_wrapped_key_moved_to_another_person_does_not_open(session: Session, keys: Keys) -> None:
    victim, _ = make_key(session, keys)
    thief, _ = make_key(session, keys)
    session.flush()
    session.execute(
        text("UPDATE person_key SET wrapped = (SELECT wrapped FROM person_key WHERE id = :v) WHERE id = :t"),
        {"v": victim, "t": thief},
    )
    with pytest.raises(CannotOpen):
        open_key(session, keys, thief)
    assert open_key(session, keys, victim)


def test_the_ring_turns_and_old_versions_still_open(session: Session, keys: Keys) -> None:
    key_id, key = make_key(session, keys)
    session.flush()
    turned = Keys(KeyRing(keys.ring.versions | {2: new_key()}), keys.reference, keys.token)
    assert open_key(session, turned, key_id) == key
    later, later_key = make_key(session, turned)
    session.flush()
    assert session.get_one(PersonKey, later).version == 2
    assert open_keys(session, turned, [key_id, later]) == {key_id: key, later: later_key}
    with pytest.raises(CannotOpen, match="version 2"):
        open_key(session, keys, later)


def test_versions_cannot_be_swapped() -> None:
    ring = KeyRing({1: new_key(), 2: new_key()})
    version, wrapped = ring.wrap(KEY, "a")
    assert version == 2
    assert ring.unwrap(2, wrapped, "a") == KEY
    with pytest.raises(CannotOpen):
        ring.unwrap(1, wrapped, "a")


def test_ten_comes_after_nine() -> None:
    assert KeyRing({n: new_key() for n in (9, 10, 2)}).current == 10


def test_a_destroyed_key_opens_nothing(session: Session, keys: Keys) -> None:
    key_id, _ = make_key(session, keys)
    other, other_key = make_key(session, keys)
    session.flush()
    session.get_one(PersonKey, key_id).wrapped = None
    session.flush()
    with pytest.raises(CannotOpen, match="destroyed"):
        open_key(session, keys, key_id)
    assert open_keys(session, keys, [key_id, other]) == {other: other_key}
    with pytest.raises(CannotOpen):
        open_key(session, keys, uuid4())


def test_tokens_differ_by_number_and_by_key(keys: Keys) -> None:
    other = Keys(keys.ring, keys.reference, new_key())
    tokens = {keys.lookup_token("0311164234"), keys.lookup_token("0311164235"), other.lookup_token("0311164234")}
    assert len(tokens) == 3
    assert {len(token) for token in tokens} == {32}
    assert keys.lookup_token("0311164234") in tokens


def test_references_do_not_run_together(keys: Keys) -> None:
    assert keys.refer("sof", "a1") != keys.refer("sofa", "1")


def test_without_the_token_key_there_are_no_tokens(tmp_path: Path) -> None:
    make_keys(tmp_path)
    (tmp_path / "token.key").unlink()  # a process that may not look up need not have the file at all
    keys = load_keys(tmp_path, with_token=False)
    with pytest.raises(CannotOpen, match="token key"):
        keys.lookup_token("0311164234")


def test_the_process_shows_no_key_when_it_is_printed(tmp_path: Path) -> None:
    make_keys(tmp_path)
    keys = load_keys(tmp_path, with_token=True)
    shown = repr(keys) + str(keys) + repr(keys.ring)
    for secret in (*keys.ring.versions.values(), keys.reference, keys.token or b""):
        assert repr(secret) not in shown


def test_key_files_are_ours_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert make_keys(tmp_path / "keys") is True
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "keys").iterdir()} == {
        "ring.json": 0o600,
        "token.key": 0o600,
    }


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    make_keys(tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert make_keys(tmp_path) is False
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_missing_token_key_is_made_and_the_ring_left_alone(tmp_path: Path) -> None:
    make_keys(tmp_path)
    ring = (tmp_path / "ring.json").read_bytes()
    (tmp_path / "token.key").unlink()
    assert make_keys(tmp_path) is True
    assert (tmp_path / "ring.json").read_bytes() == ring


def test_many_at_once_make_one_set_of_keys(tmp_path: Path) -> None:
    """Each must go on with the same keys, and never see half a file."""
    code = (
        "import sys; from pathlib import Path; from hub.vault import *; f = Path(sys.argv[1]);"
        "make_keys(f); k = load_keys(f, with_token=True); print(k.lookup_token('x').hex())"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "k")], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert len({run.communicate()[0] for run in runs}) == 1
    assert [run.returncode for run in runs] == [0, 0, 0, 0]


def text_of(key: bytes) -> str:
    return base64.b64encode(key).decode()


GOOD_RING = {"versions": {"1": text_of(KEY)}, "reference": text_of(KEY)}


@pytest.mark.parametrize(
    "ring",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        json.dumps(GOOD_RING | {"versions": {}}),
        json.dumps(GOOD_RING | {"versions": []}),
        json.dumps(GOOD_RING | {"versions": {"one": text_of(KEY)}}),
        json.dumps(GOOD_RING | {"versions": {"1": text_of(KEY[:16])}}),  # AES would take 16 bytes without a word
        json.dumps(GOOD_RING | {"versions": {"1": 7}}),
        json.dumps(GOOD_RING | {"reference": ""}),
        json.dumps(GOOD_RING | {"reference": "not base64"}),
        "æ",
    ],
)
def test_a_broken_ring_is_refused_by_name(tmp_path: Path, ring: str) -> None:
    make_keys(tmp_path)
    (tmp_path / "ring.json").write_text(ring, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"ring\.json"):
        load_keys(tmp_path, with_token=True)


@pytest.mark.parametrize("content", ["", "\n", text_of(KEY[:31]), text_of(KEY) + "!!!!", "æ"])
def test_a_broken_token_key_is_refused_by_name(tmp_path: Path, content: str) -> None:
    """An empty one most of all: everybody can reckon tokens under an empty key."""
    make_keys(tmp_path)
    (tmp_path / "token.key").write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"token\.key"):
        load_keys(tmp_path, with_token=True)


def test_a_line_end_after_a_key_does_no_harm(tmp_path: Path) -> None:
    make_keys(tmp_path)
    path = tmp_path / "token.key"
    before = load_keys(tmp_path, with_token=True).token
    path.write_text(path.read_text() + "\n")
    assert load_keys(tmp_path, with_token=True).token == before


def test_the_message_of_a_broken_key_file_holds_no_key(tmp_path: Path) -> None:
    make_keys(tmp_path)
    secret = text_of(KEY)
    (tmp_path / "ring.json").write_text(json.dumps({"versions": {"1": secret + "?"}, "reference": secret}))
    with pytest.raises(SettingsError) as caught:
        load_keys(tmp_path, with_token=True)
    assert secret not in str(caught.value)


def test_missing_keys_name_the_command_that_makes_them(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="tovholder migrate"):
        load_keys(tmp_path, with_token=True)


def test_keys_that_may_not_be_read_are_refused_with_a_reason(not_root: Path) -> None:
    make_keys(not_root)
    (not_root / "ring.json").chmod(0)
    with pytest.raises(SettingsError, match=r"ring\.json"):
        load_keys(not_root, with_token=True)


def test_a_folder_where_a_key_should_be_is_refused_with_a_reason(tmp_path: Path) -> None:
    make_keys(tmp_path)
    (tmp_path / "ring.json").unlink()
    (tmp_path / "ring.json").mkdir()
    with pytest.raises(SettingsError, match=r"ring\.json"):
        load_keys(tmp_path, with_token=True)


@pytest.mark.parametrize("moment", ["os.fdopen", "os.fsync", "os.link"])
def test_a_crash_while_keys_are_made_leaves_no_half_key(tmp_path: Path, moment: str) -> None:
    """Killed before, while and after writing: the next start has whole keys, not an empty one that protects nothing."""
    code = (
        "import os, sys; from pathlib import Path; from hub import vault;"
        f"{moment} = lambda *_, **__: os.kill(os.getpid(), 9); vault.make_keys(Path(sys.argv[1]))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "k")], check=False).returncode == -9
    make_keys(tmp_path / "k")
    assert len(load_keys(tmp_path / "k", with_token=True).token or b"") == 32


def test_keys_stand_apart_from_the_data_by_settings(tmp_path: Path) -> None:
    assert Settings(data=tmp_path).keys_folder == tmp_path / "keys"
    assert Settings(data=tmp_path, keys=tmp_path / "safe").keys_folder == tmp_path / "safe"
    assert vault.CannotOpen.__doc__
