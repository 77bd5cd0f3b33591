"""rpm packages in one string, read from the right."""

import pytest

from patchmgr.feeds.formats import rpm_names
from patchmgr.feeds.formats.rpm_names import Built


@pytest.mark.parametrize(
    ("text", "built"),
    [
        ("openssl-1_1-1.1.0i-lp151.8.6.1", Built("openssl-1_1", "1.1.0i-lp151.8.6.1", "")),
        ("libssl0_9-32bit-0.9.8j-106.12.1", Built("libssl0_9-32bit", "0.9.8j-106.12.1", "")),
        (
            "iscsitarget-kmp-rt-1.4.20_3.0.101_rt130_69.24-0.43.2.1",
            Built("iscsitarget-kmp-rt", "1.4.20_3.0.101_rt130_69.24-0.43.2.1", ""),
        ),
        (
            "kernel-livepatch-4_12_14-197_10-default-1-3.3.1",
            Built("kernel-livepatch-4_12_14-197_10-default", "1-3.3.1", ""),
        ),
        ("curl-7.71.1-20.oe1.aarch64.rpm", Built("curl", "7.71.1-20.oe1", "aarch64")),
        ("curl-help-7.71.1-20.oe1.noarch.rpm", Built("curl-help", "7.71.1-20.oe1", "noarch")),
        ("vim-8.2-22.oe1.src.rpm", Built("vim", "8.2-22.oe1", "src")),
        ("bzip2-1.0.8-150400.1.122.x86_64", Built("bzip2", "1.0.8-150400.1.122", "x86_64")),
        ("curl-7.71.1", None),
        ("curl--1", None),
        ("-1-1", None),
        ("curl 7.71.1-20-1", None),
        ("curl", None),
        ("", None),
    ],
)  # fmt: skip
def test_name_and_version_are_told_apart(text, built):
    assert rpm_names.built(text) == built


@pytest.mark.parametrize(
    ("name", "debug"),
    [
        ("ImageMagick-debuginfo", True),
        ("libMagickWand-6_Q16-2-debuginfo-32bit", True),
        ("ImageMagick-debugsource", True),
        ("elfutils-debuginfod", False),
        ("ImageMagick", False),
    ],
)
def test_packages_for_debuggers_are_known(name, debug):
    assert rpm_names.is_debug(name) is debug


@pytest.mark.parametrize(
    ("arches", "every", "said"),
    [
        ({"aarch64", "x86_64"}, {"aarch64", "x86_64", "noarch"}, ""),
        ({"x86_64"}, {"aarch64", "x86_64"}, "x86_64"),
        ({"x86_64", "s390x"}, {"aarch64", "x86_64", "s390x"}, "s390x x86_64"),
        ({"noarch"}, {"aarch64", "noarch"}, ""),
        ({""}, {""}, ""),
    ],
)
def test_a_statement_names_arches_only_where_they_say_something(arches, every, said):
    assert rpm_names.narrowed(arches, every) == said
