"""A small ext4 of the test's own, whose power can be cut: what was not synced is gone, as after a real power failure.

with disk(directory / "spool") as small:
    small.fill()        # no room is left          small.make_room()
    small.break_down()  # the kernel gives up: read-only, as after an error of the device
    small.cut_power()   # nothing that lies in the page cache is ever written
    small.mount_again() # once nobody has a file open there
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import pytest

from support.peers import PeerError, need, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE: Final = 160 * 2**20
_SHUTDOWN: Final = 0x8004587D
"""EXT4_IOC_SHUTDOWN."""
_WITHOUT_FLUSHING: Final = struct.pack("I", 2)


class Disk:
    """Use `disk`."""

    def __init__(self, image: Path, place: Path) -> None:
        """Keep where the disk and its files are."""
        self._image, self._place = image, place
        self._filling = place / "filling"

    def mount(self) -> None:
        """Attach it; the kernel writes back as late as it may."""
        done = _run("mount", "-o", "loop,commit=300,errors=remount-ro", str(self._image), str(self._place))
        if done:
            raise PeerError(done)

    def detach(self) -> None:
        """Detach it, waiting for those who are ending."""
        wait_for(lambda: not _run("umount", str(self._place)), "the end of those who use the disk", seconds=180)

    def mount_again(self) -> None:
        """Attach it as after a restart of the machine."""
        self.detach()
        self.mount()

    def fill(self) -> None:
        """Leave no room."""
        with self._filling.open("wb", buffering=0) as file:
            for block in (2**20, 4096, 1):
                with suppress(OSError):
                    while True:
                        file.write(bytes(block))

    def make_room(self) -> None:
        """Undo it."""
        self._filling.unlink()

    def break_down(self) -> None:
        """Let the kernel find an error: from now on everything is read-only."""
        _run("mount", "-o", "remount,abort", str(self._place))
        with pytest.raises(OSError, match=os.strerror(errno.EROFS)):
            (self._place / "probe").touch()

    def cut_power(self) -> None:
        """Cut the power of the disk; what was not synced is lost."""
        descriptor = os.open(self._place, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, _WITHOUT_FLUSHING)
        finally:
            os.close(descriptor)


def _run(*command: str) -> str:
    """Run a program; return what it said if it failed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stderr or "failed") if done.returncode else ""


@contextmanager
def disk(place: Path) -> Iterator[Disk]:
    """Make such a disk and attach it, in a directory whose neighbor its image becomes.

    Skips the test where the machine has no loop devices to give, as in most containers: no package would mend that.
    """
    need("mkfs.ext4", "mount", root=True)
    image = place.with_name(f"{place.name}.img")
    with image.open("wb") as file:
        file.truncate(SIZE)
    assert not _run("mkfs.ext4", "-q", "-m", "0", str(image))
    made = Disk(image, place)
    try:
        made.mount()
    except PeerError as error:
        pytest.skip(f"no loop device: {error}")
    place.chmod(0o700)
    try:
        yield made
    finally:
        made.detach()
