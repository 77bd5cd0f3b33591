"""The releases of Debian and Ubuntu: codename to platform.

Source: Debian's package distro-info-data, debian.csv and ubuntu.csv.
"""

PLATFORMS = {  # Debian; the numbers are those of os-release
    "woody": "debian:3.0",
    "sarge": "debian:3.1",
    "etch": "debian:4.0",
    "lenny": "debian:5.0",
    "squeeze": "debian:6.0",
    "wheezy": "debian:7",
    "jessie": "debian:8",
    "stretch": "debian:9",
    "buster": "debian:10",
    "bullseye": "debian:11",
    "bookworm": "debian:12",
    "trixie": "debian:13",
    "forky": "debian:14",
    "duke": "debian:15",
    "sid": "debian:rolling",
}

UBUNTU = {
    "precise": "ubuntu:12.04",
    "trusty": "ubuntu:14.04",
    "xenial": "ubuntu:16.04",
    "artful": "ubuntu:17.10",
    "bionic": "ubuntu:18.04",
    "cosmic": "ubuntu:18.10",
    "disco": "ubuntu:19.04",
    "eoan": "ubuntu:19.10",
    "focal": "ubuntu:20.04",
    "groovy": "ubuntu:20.10",
    "hirsute": "ubuntu:21.04",
    "impish": "ubuntu:21.10",
    "jammy": "ubuntu:22.04",
    "kinetic": "ubuntu:22.10",
    "lunar": "ubuntu:23.04",
    "mantic": "ubuntu:23.10",
    "noble": "ubuntu:24.04",
    "oracular": "ubuntu:24.10",
    "plucky": "ubuntu:25.04",
    "questing": "ubuntu:25.10",
    "resolute": "ubuntu:26.04",
    "stonking": "ubuntu:26.10",
}
