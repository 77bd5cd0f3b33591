"""Settings: the environment wins over the file, a misspelt name is an error, one key is made."""

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from patchmgr.config import load
from patchmgr.errors import SettingsError


def settings(tmp_path, **given):
    return load({"PATCHMGR_HOME": str(tmp_path / "home")} | given)


def test_the_defaults_live_in_the_home(tmp_path):
    found = settings(tmp_path)

    assert found.database_url == f"sqlite:///{tmp_path / 'home' / 'patchmgr.db'}"
    assert found.uploads == tmp_path / "home" / "uploads"


def test_the_home_is_private(tmp_path):
    settings(tmp_path)

    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


def test_without_a_home_it_is_below_the_users_state_directory(tmp_path):
    assert load({"XDG_STATE_HOME": str(tmp_path)}).home == tmp_path / "patchmgr"


def test_the_secret_key_is_made_once_and_private(tmp_path):
    first, second = settings(tmp_path), settings(tmp_path)

    assert first.secret_key == second.secret_key
    assert len(first.secret_key) == 64
    assert stat.S_IMODE((tmp_path / "home" / "secret-key").stat().st_mode) == 0o600


def test_starters_at_the_same_time_get_the_same_key(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: settings(tmp_path).secret_key, range(32)))

    assert len(keys) == 1


def test_the_environment_wins_over_the_file(tmp_path):
    file = tmp_path / "patchmgr.toml"
    file.write_text("sync_hours = 12\nscan_minutes = 5\ncookie_secure = true\n")

    found = settings(tmp_path, PATCHMGR_CONFIG=str(file), PATCHMGR_SYNC_HOURS="3")

    assert (found.sync_hours, found.scan_minutes, found.cookie_secure) == (3, 5, True)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"PATCHMGR_COLOUR": "mauve"}, "PATCHMGR_COLOUR: no such setting"),
        (
            {"PATCHMGR_DEBIAN_URL": "file:///x"},
            "PATCHMGR_DEBIAN_URL: 'file:///x' is not an http or https address",
        ),
        ({"PATCHMGR_DEBIAN_URL": "http://[x/"}, "PATCHMGR_DEBIAN_URL: is no address"),
        (
            {"PATCHMGR_DEBIAN_URL": "https://me:secret@x/y"},
            "PATCHMGR_DEBIAN_URL: names a user or password",
        ),
        ({"PATCHMGR_SYNC_HOURS": "often"}, "PATCHMGR_SYNC_HOURS: 'often' is not a whole number"),
        ({"PATCHMGR_SYNC_HOURS": "-1"}, "PATCHMGR_SYNC_HOURS"),
        ({"PATCHMGR_TICK_SECONDS": "0"}, "PATCHMGR_TICK_SECONDS: '0' is not a whole number above"),
        ({"PATCHMGR_COOKIE_SECURE": "maybe"}, "PATCHMGR_COOKIE_SECURE: 'maybe' is not yes or no"),
        ({"PATCHMGR_CONFIG": "/nowhere/patchmgr.toml"}, "PATCHMGR_CONFIG: /nowhere/patchmgr.toml"),
        ({"PATCHMGR_HOME": "/proc/nowhere"}, "PATCHMGR_HOME: /proc/nowhere"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, given, complaint):
    with pytest.raises(SettingsError) as error:
        settings(tmp_path, **given)

    assert str(error.value).startswith(complaint)


def test_a_file_that_is_no_toml_is_named(tmp_path):
    file = tmp_path / "patchmgr.toml"
    file.write_text("sync_hours: 12")

    with pytest.raises(SettingsError, match=r"patchmgr\.toml"):
        settings(tmp_path, PATCHMGR_CONFIG=str(file))


def test_a_misspelt_name_in_the_file_is_an_error_too(tmp_path):
    file = tmp_path / "patchmgr.toml"
    file.write_text("sync_hour = 12\n")

    with pytest.raises(SettingsError, match="PATCHMGR_SYNC_HOUR: no such setting"):
        settings(tmp_path, PATCHMGR_CONFIG=str(file))
