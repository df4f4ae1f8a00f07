"""VM images, built from Debian's packages and named after the content of their recipe."""

from __future__ import annotations

import hashlib
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .command import docker, run
from .paths import DEB_VOLUME

PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "python3", "ca-certificates", "openssh-server",
    "sudo", "iproute2", "cron", "procps",
)  # fmt: skip
"""What a cloud image of Debian has, as far as it matters here."""

ENGINE_PACKAGES = ("docker.io", "docker-compose", "docker-cli", "iptables")
"""Docker Engine with Compose v2, as Debian 13 has them."""

USER = "debian"
"""The login of Debian's cloud images: no password, sudo without one."""

APT_CACHE_MOUNT = "/var/cache/testbed-debs"

APT_SETTINGS = f"""\
APT::Update::Post-Invoke {{ "cp -n {APT_CACHE_MOUNT}/*.deb /var/cache/apt/archives/ 2>/dev/null || true"; }};
DPkg::Post-Invoke {{ "/usr/local/sbin/testbed-keep-debs || true"; }};
"""

# A rename after the copy: another VM never sees half a package.
KEEP_DEBS = f"""\
#!/bin/sh
for deb in /var/cache/apt/archives/*.deb; do
  kept="{APT_CACHE_MOUNT}/${{deb##*/}}"
  [ -e "$deb" ] && [ ! -e "$kept" ] && cp "$deb" "$kept.$(hostname)" && mv "$kept.$(hostname)" "$kept"
done
exit 0
"""

FILES = {
    "/etc/apt/apt.conf.d/90testbed": ("0644", APT_SETTINGS),
    "/usr/local/sbin/testbed-keep-debs": ("0755", KEEP_DEBS),
    "/etc/dpkg/dpkg.cfg.d/90testbed": ("0644", "force-unsafe-io\npath-exclude=/usr/share/man/*\n"),
    f"/etc/sudoers.d/90-{USER}": ("0440", f"{USER} ALL=(ALL) NOPASSWD:ALL\n"),
    "/etc/ssh/sshd_config.d/90testbed.conf": ("0644", "PasswordAuthentication no\nUseDNS no\nMaxStartups 60\n"),
}


@dataclass(frozen=True)
class Recipe:
    """An image that is made of a Debian suite's packages alone, once per recipe."""

    suite: str

    @property
    def arguments(self) -> list[str]:
        """Arguments of mmdebstrap, without the output file."""
        return ["mmdebstrap", "--variant=minbase", "--quiet", self.suite]

    @property
    def kind(self) -> str:
        return f"base-{self.suite}"

    @property
    def tag(self) -> str:
        content = hashlib.sha256("\0".join(self.arguments).encode()).hexdigest()[:12]
        return f"aimesh/testbed:{self.kind}-{content}"

    def ensure(self) -> str:
        """Build the image when its recipe has not been built yet (about a minute). Returns its tag."""
        if docker("image", "ls", "--quiet", self.tag).strip():
            return self.tag
        with tempfile.TemporaryDirectory(prefix="aimesh-testbed-") as folder:
            tar = Path(folder) / "base.tar"
            run(*self.arguments, str(tar), timeout=1200)
            docker("import", str(tar), self.tag, timeout=300)
        return self.tag


@dataclass(frozen=True)
class Image(Recipe):
    """One VM image: a Debian suite under the name that the plan gives the operating system, and what else is on it."""

    os: str
    purpose: str = ""
    extra: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return f"{self.suite}-{self.purpose}" if self.purpose else self.suite

    @property
    def arguments(self) -> list[str]:
        hooks = [f'chroot "$1" useradd --create-home --shell /bin/bash {USER}']
        for path, (mode, text) in FILES.items():
            hooks.append(f'printf %s {shlex.quote(text)} > "$1{path}" && chmod {mode} "$1{path}"')
        # Each VM gets an identity of its own at its first start.
        hooks.append('truncate --size=0 "$1/etc/machine-id"')
        return [
            "mmdebstrap", "--variant=minbase", "--quiet", f"--include={','.join(PACKAGES + self.extra)}",
            *(f"--customize-hook={hook}" for hook in hooks), self.suite,
        ]  # fmt: skip


IMAGES = {
    "debian-13": Image(os="debian-13", suite="trixie"),
    "debian-12": Image(os="debian-12", suite="bookworm"),
}

COMPOSE_HOST = Image(os="debian-13", suite="trixie", purpose="compose", extra=ENGINE_PACKAGES)
"""A machine that has Docker Engine with Compose v2 before the first deploy."""

BASES = {image.os: Recipe(suite=image.suite) for image in IMAGES.values()}
"""Debian's smallest system: what `make images BASE=…` builds on where no registry can be reached."""


def volume_arguments() -> list[str]:
    """Arguments of `docker run` that give a VM the shared package cache."""
    return ["--volume", f"{DEB_VOLUME}:{APT_CACHE_MOUNT}"]
