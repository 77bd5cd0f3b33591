"""Settings: the environment wins over the file, a misspelt name is an error, one key is made."""

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from patchmgr import config
from patchmgr.config import load
from patchmgr.errors import SettingsError
from patchmgr.feeds import FEEDS


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
    file.write_text("feed_hours = 12\nscan_minutes = 5\ncookie_secure = true\n")

    found = settings(tmp_path, PATCHMGR_CONFIG=str(file), PATCHMGR_FEED_HOURS="3")

    assert (found.feed_hours, found.scan_minutes, found.cookie_secure) == (3, 5, True)


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
        ({"PATCHMGR_FEED_HOURS": "often"}, "PATCHMGR_FEED_HOURS: 'often' is not a whole number"),
        ({"PATCHMGR_FEED_HOURS": "-1"}, "PATCHMGR_FEED_HOURS"),
        ({"PATCHMGR_FEED_HOURS": "9000"}, "PATCHMGR_FEED_HOURS: '9000' is more than 8760"),
        ({"PATCHMGR_OSV_HOURS": "0"}, "PATCHMGR_OSV_HOURS: '0' is not a whole number above zero"),
        ({"PATCHMGR_OSV_HOURS": "9000"}, "PATCHMGR_OSV_HOURS: '9000' is more than 8760"),
        ({"PATCHMGR_NIX_HOURS": "6"}, "PATCHMGR_NIX_HOURS: no such setting"),
        ({"PATCHMGR_NIX_URL": "https://x.example/"}, "PATCHMGR_NIX_URL: no such setting"),
        ({"PATCHMGR_MIRRORS": "x"}, "PATCHMGR_MIRRORS: no such setting"),
        (
            {"PATCHMGR_SYNC_HOURS": "6"},
            "PATCHMGR_SYNC_HOURS: is called PATCHMGR_FEED_HOURS now",
        ),
        (
            {"PATCHMGR_REDHAT_CSAF_URL": "https://x.example/a ftp://x.example/b"},
            "PATCHMGR_REDHAT_CSAF_URL: 'ftp://x.example/b' is not an http or https address",
        ),
        ({"PATCHMGR_FEED_PROXY": "proxy:3128"}, "PATCHMGR_FEED_PROXY: 'proxy:3128' is not an http"),
        ({"PATCHMGR_FEED_PROXY": "http://proxy:web"}, "PATCHMGR_FEED_PROXY: is no address"),
        (
            {"PATCHMGR_FEED_PROXY": "http://me:secret@proxy:3128"},
            "PATCHMGR_FEED_PROXY: names a user or password",
        ),
        (
            {"PATCHMGR_FEED_SHRINK_PERCENT": "101"},
            "PATCHMGR_FEED_SHRINK_PERCENT: '101' is more than 100",
        ),
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
    file.write_text("feed_hours: 12")

    with pytest.raises(SettingsError, match=r"patchmgr\.toml"):
        settings(tmp_path, PATCHMGR_CONFIG=str(file))


def test_a_misspelt_name_in_the_file_is_an_error_too(tmp_path):
    file = tmp_path / "patchmgr.toml"
    file.write_text("feed_hour = 12\n")

    with pytest.raises(SettingsError, match="PATCHMGR_FEED_HOUR: no such setting"):
        settings(tmp_path, PATCHMGR_CONFIG=str(file))


def test_each_feed_has_its_mirror_and_its_hours(tmp_path):
    addresses = "https://mirror.example/a/repodata/repomd.xml#platform=rhel:9&suite=baseos"

    found = settings(
        tmp_path,
        PATCHMGR_UPDATEINFO_URL=f" {addresses}  https://mirror.example/b {addresses} ",
        PATCHMGR_REDHAT_CSAF_URL="",
        PATCHMGR_REDHAT_CSAF_HOURS="24",
    )

    assert found.mirrors == {"updateinfo": (addresses, "https://mirror.example/b")}
    assert (found.hours_of("redhat-csaf"), found.hours_of("updateinfo")) == (24, 6)


def test_every_feed_can_have_settings_and_nothing_else():
    assert set(FEEDS) == config.FEEDS
