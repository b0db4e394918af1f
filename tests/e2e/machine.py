"""A copy of this whole machine that a test may change: a private mount namespace with an overlay over /, and a private network in
which every port is free. systemd runs in no test, so `systemctl` and `journalctl` stand in for it there: they read the units
as they are installed and do what those say of user, state directory, commands and readiness; hardening and restarts are not
shown by them. Needs root."""
import pathlib
import subprocess
import tempfile

ENTER = """set -e
mount -t tmpfs none {place}
mkdir {place}/upper {place}/work {place}/root
mount -t overlay overlay -o lowerdir=/,upperdir={place}/upper,workdir={place}/work {place}/root
mount --bind /proc {place}/root/proc
mount --rbind /dev {place}/root/dev
mount -t tmpfs none {place}/root/run
mount -t tmpfs none {place}/root/tmp
ip link set lo up
for name in systemctl journalctl; do ln -s {service} {place}/root/usr/local/bin/$name; done
exec chroot {place}/root /bin/bash -s
"""


# In a changed root whose / is no mount point unshare cannot make its mounts private; they are there where / is not shared.
PRIVATE = "private" if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0 else "unchanged"


def run_on_a_copy(script, folder, timeout=300):
    """The finished process of `script` in bash, in `folder`, with what it printed; every process of it is ended."""
    place = tempfile.mkdtemp(prefix="carbond-machine.")
    enter = ENTER.format(place=place, service=pathlib.Path(__file__).with_name("service.py"))
    try:
        # a process namespace of its own: its end is the end of all daemons in it
        return subprocess.run(["unshare", "--mount", "--propagation", PRIVATE, "--net", "--pid", "--fork", "--kill-child", "bash", "-c", enter],
                              input=f"export PATH=/usr/local/bin:$PATH\nmount -t proc proc /proc\ncd {folder}\n{script}", text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout, check=False)
    finally:
        pathlib.Path(place).rmdir()
