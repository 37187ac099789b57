"""Settings: one file and the environment, refused with a message that names file, key and remedy."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from hub.clock import FileClock, SystemClock
from hub.errors import SettingsError
from hub.settings import Settings, load


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tovholder.toml"


def read(file: Path, content: str | bytes, **environment: str) -> Settings:
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return load({"TOVHOLDER_SETTINGS": str(file)} | environment)


def test_without_file_and_environment_there_are_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load({})
    assert (settings.file, settings.data, settings.database_url, settings.demo) == (None, Path("data"), None, None)
    assert isinstance(settings.clock, SystemClock)


def test_a_file_in_the_current_folder_is_found(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    file.write_text("[municipality]\nname = 'Eksempel Kommune'\n", encoding="utf-8")
    assert load({}).municipality.name == "Eksempel Kommune"
    assert load({"TOVHOLDER_SETTINGS": ""}).municipality.name == "Eksempel Kommune"


def test_the_environment_wins(file: Path) -> None:
    written = "data = 'a'\nkeys = 'k'\ndatabase_url = 'postgresql://a/b'\nowner_database_url = 'postgresql://o/b'\n"
    settings = read(
        file,
        written,
        TOVHOLDER_DATA="b",
        TOVHOLDER_KEYS="c",
        TOVHOLDER_DATABASE_URL="postgresql://d/e",
        TOVHOLDER_OWNER_DATABASE_URL="postgresql://f/g",
    )
    assert (settings.data, settings.keys) == (Path("b"), Path("c"))
    assert (settings.database_url, settings.owner_database_url) == ("postgresql://d/e", "postgresql://f/g")


def test_an_empty_variable_is_no_variable(file: Path) -> None:
    assert read(file, "data = 'a'", TOVHOLDER_DATA="").data == Path("a")


@pytest.mark.parametrize(
    ("content", "key", "remedy"),
    [
        ("dta = 'x'", "dta", "there is no such key"),
        ("file = 'x'", "file", "there is no such key"),
        ("[municipality]\ncvr = '1234'", "municipality.cvr", "match"),
        ("[municipality]\ncvr = 12345678", "municipality.cvr", "string"),
        ("[municipality]\nnavn = 'x'", "municipality.navn", "there is no such key"),
        ("[administrations.SOF]\nname_en = 'x'", "administrations.SOF.name", "this key is needed: add it"),
        ("[coordination]\nstart = 'now'", "coordination.start", "'match', 'adviser' or 'self'"),
        ("[coordination]\ntarget = 0", "coordination.target", "greater than or equal to 1"),
        ("[coordination]\ntarget = 26", "coordination", "limit (25) must not be lower than target (26)"),
        ("[letters]\nfamily_url = 'http://x.example'", "letters.family_url", "https://"),
        ("[demo]", "demo.folder", "this key is needed: add it"),
        ("plugins = 3", "plugins", "dictionary"),
        ("database_url = 'tovholder'", "database_url", "postgresql://user@host:5432/database"),
        ("database_url = 'mysql://a/b'", "database_url", "postgresql://user@host:5432/database"),
        ("database_url = 'postgresql://a:x/b'", "database_url", "postgresql://user@host:5432/database"),
        ("owner_database_url = ''", "owner_database_url", "postgresql://user@host:5432/database"),
    ],
)
def test_a_wrong_value_is_refused_with_file_key_and_remedy(file: Path, content: str, key: str, remedy: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(file, content)
    assert str(caught.value).startswith(f"{file}: {key}: ")
    assert remedy in str(caught.value)


def test_every_wrong_key_gets_a_line(file: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        read(file, "dta = 'x'\n[letters]\nchanel = 'y'\n")
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == ["letters.chanel", "dta"]


def test_a_wrong_variable_is_named_and_its_password_is_not_shown(file: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        read(file, "", TOVHOLDER_DATABASE_URL="mysql://user:hemmelig@a/b")
    assert str(caught.value).startswith("TOVHOLDER_DATABASE_URL: must look like postgresql://")
    assert "hemmelig" not in str(caught.value)


def test_settings_do_not_print_the_databases_password(file: Path) -> None:
    settings = read(file, "database_url = 'postgresql://user:hemmelig@a/b'")
    assert "hemmelig" not in f"{settings!r} {settings}"


@pytest.mark.parametrize("content", ["[", "a = ", "data = 'a'\ndata = 'b'", b"data = '\xff'"])
def test_what_is_no_toml_is_refused_with_the_files_name(file: Path, content: str | bytes) -> None:
    with pytest.raises(SettingsError, match="is not valid TOML") as caught:
        read(file, content)
    assert str(caught.value).startswith(str(file))


def test_a_file_written_by_a_windows_editor_is_read(file: Path) -> None:
    assert read(file, b"\xef\xbb\xbfdata = 'a'\r\n").data == Path("a")


def test_a_named_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"TOVHOLDER_SETTINGS points to .*none\.toml, which does not exist; make it"
    ):
        load({"TOVHOLDER_SETTINGS": str(tmp_path / "none.toml")})


def test_a_folder_instead_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load({"TOVHOLDER_SETTINGS": str(tmp_path)})


def test_settings_do_not_change_once_read(file: Path) -> None:
    settings = read(file, "")
    with pytest.raises(ValidationError, match="frozen"):
        settings.data = Path("other")


def test_an_administration_has_its_full_name_in_both_languages(settings: Settings) -> None:
    assert settings.administration_name("BUF") == "Børne- og Ungdomsforvaltningen"
    assert settings.administration_name("BUF", "en") == "the Children and Youth Administration"
    assert settings.administration_name("XYZ") == "XYZ"


def test_the_demo_shares_one_simulated_clock(file: Path) -> None:
    settings = read(file, f"[demo]\nfolder = '{file.parent}'")
    then = datetime(2026, 11, 2, 7, tzinfo=UTC)
    FileClock(file.parent / "clock").set(then)
    assert settings.clock.now() == then
