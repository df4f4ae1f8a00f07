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
class Image:
    """One VM image: a Debian suite under the name that the plan gives the operating system."""

    os: str
    suite: str

    @property
    def recipe(self) -> list[str]:
        """Arguments of mmdebstrap, without the output file."""
        hooks = [f'chroot "$1" useradd --create-home --shell /bin/bash {USER}']
        for path, (mode, text) in FILES.items():
            hooks.append(f'printf %s {shlex.quote(text)} > "$1{path}" && chmod {mode} "$1{path}"')
        # Each VM gets an identity of its own at its first start.
        hooks.append('truncate --size=0 "$1/etc/machine-id"')
        return [
            "mmdebstrap", "--variant=minbase", "--quiet", f"--include={','.join(PACKAGES)}",
            *(f"--customize-hook={hook}" for hook in hooks), self.suite,
        ]  # fmt: skip

    @property
    def tag(self) -> str:
        content = hashlib.sha256("\0".join(self.recipe).encode()).hexdigest()[:12]
        return f"aimesh/testbed:{self.suite}-{content}"

    def ensure(self) -> str:
        """Build the image when its recipe has not been built yet (about a minute). Returns its tag."""
        if docker("image", "ls", "--quiet", self.tag).strip():
            return self.tag
        with tempfile.TemporaryDirectory(prefix="aimesh-testbed-") as folder:
            tar = Path(folder) / "base.tar"
            run(*self.recipe, str(tar), timeout=1200)
            docker("import", str(tar), self.tag, timeout=300)
        return self.tag


IMAGES = {
    "debian-13": Image(os="debian-13", suite="trixie"),
    "debian-12": Image(os="debian-12", suite="bookworm"),
}


def volume_arguments() -> list[str]:
    """Arguments of `docker run` that give a VM the shared package cache."""
    return ["--volume", f"{DEB_VOLUME}:{APT_CACHE_MOUNT}"]
