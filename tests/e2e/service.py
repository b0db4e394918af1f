#!/usr/bin/env python3
"""systemctl and journalctl where no systemd runs: enable, start, stop, restart, reload, is-active and daemon-reload on the units as they
are installed (Type=notify and oneshot, User=, StateDirectory=, Environment=, ExecStartPre=, ExecStart=, ExecReload=), and the
output of a unit. See machine.py."""
import os
import pathlib
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

from harness import wait_until

RUN = pathlib.Path("/run/units")
PLACES = [pathlib.Path(place) for place in ("/etc/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system")]


def read_unit(name):
    """key -> [values] of the whole file"""
    path = next((place / name for place in PLACES if (place / name).exists()), None)
    if not path:
        sys.exit(f"Unit {name} not found.")
    values = {}
    for line in path.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith(("#", ";", "[")):
            values.setdefault(key.strip(), []).append(value.strip())
    return values


def pid_of(name):
    file = RUN / f"{name}.pid"
    pid = int(file.read_text()) if file.exists() else 0
    if pid and pathlib.Path(f"/proc/{pid}/stat").exists() and pathlib.Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
        return pid
    return 0


def launch(unit, name, line, wait, extra=None):
    environment = {"PATH": os.environ["PATH"], **(extra or {})}
    for assignment in unit.get("Environment", []):
        for word in shlex.split(assignment):
            environment.__setitem__(*word.split("=", 1))
    user = unit.get("User", ["root"])[0]
    words = shlex.split(line.lstrip("-+!@").replace("%%", "%"))
    words[0] = shutil.which(words[0]) or words[0]
    with open(RUN / f"{name}.log", "ab") as log:
        process = subprocess.Popen(words, user=user, group=unit.get("Group", [user])[0] if user != "root" else None, stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=log, env=environment, cwd="/", start_new_session=True, umask=int(unit.get("UMask", ["0022"])[0], 8))
    return process.wait() if wait else process


def start(name):
    unit = read_unit(name)
    if pid_of(name):
        return
    for state in unit.get("StateDirectory", []):
        folder, owner = pathlib.Path("/var/lib") / state, pwd.getpwnam(unit.get("User", ["root"])[0])
        folder.mkdir(mode=int(unit.get("StateDirectoryMode", ["0755"])[0], 8), exist_ok=True)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    for line in unit.get("ExecStartPre", []):
        if launch(unit, name, line, True) != 0:
            sys.exit(f"{name}: {line} failed:\n{(RUN / f'{name}.log').read_text()[-2000:]}")
    if unit.get("Type", ["simple"])[0] == "oneshot":
        for line in unit["ExecStart"]:
            if launch(unit, name, line, True) != 0:
                sys.exit(f"{name}: {line} failed:\n{(RUN / f'{name}.log').read_text()[-2000:]}")
        return
    notify = RUN / f"{name}.notify"
    notify.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(notify))
        os.chmod(notify, 0o777)
        told.settimeout(1)
        process = launch(unit, name, unit["ExecStart"][0], False, {"NOTIFY_SOCKET": str(notify)})
        (RUN / f"{name}.pid").write_text(str(process.pid))
        end = time.monotonic() + 60
        while True:
            try:
                if b"READY=1" in told.recv(4096):
                    return
            except TimeoutError:
                pass
            if process.poll() is not None or time.monotonic() > end:
                sys.exit(f"{name} did not start:\n{(RUN / f'{name}.log').read_text()[-2000:]}")


def stop(name):
    pid = pid_of(name)
    if pid:
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not pid_of(name), f"{name} stops", 60)


def reload(name):
    for line in read_unit(name)["ExecReload"]:
        subprocess.run(shlex.split(line.replace("$MAINPID", str(pid_of(name)))), check=True)


def main():
    sys.stdout.reconfigure(line_buffering=True)
    RUN.mkdir(exist_ok=True)
    os.chmod(RUN, 0o755)
    words = [word for word in sys.argv[1:] if word not in ("--now", "--no-pager")]
    if pathlib.Path(sys.argv[0]).name == "journalctl":
        log = RUN / f"{words[words.index('-u') + 1].removesuffix('.service')}.service.log"
        os.execvp("tail", ["tail", "-n", "10", "-F" if "-f" in words else "-q", str(log)])
    verb, names = words[0], [name if "." in name else f"{name}.service" for name in words[1:]]
    for name in names:
        if verb == "is-active":
            print("active" if pid_of(name) else "inactive")
        elif verb == "enable":
            if not read_unit(name).get("WantedBy"):
                sys.exit(f"{name} has no [Install]")
            if "--now" in sys.argv and name.endswith(".service"):
                start(name)
        elif verb == "restart":
            stop(name)
            start(name)
        else:
            {"start": start, "stop": stop, "reload": reload}[verb](name)


main()
