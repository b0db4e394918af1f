"""Who may ask MongoDB, and whom carbond believes (issue 6, item 1): SCRAM-SHA-256, TLS and X.509 against SecantusDB; a wrong password,
authority or certificate is refused in one clear line, which shows no secret."""
import os
import re
import signal
import subprocess
import time

import pytest

from harness import CARBOND, TOP, Daemon, Process, can_connect, free_port, scratch, wait_until

PASSWORD, WRONG = "correct-horse-battery", "hunter2-hunter2"
PYTHON, SECANTUSD = TOP / ".deps/venv/bin/python", TOP / ".deps/venv/bin/secantusd-py"


def openssl(folder, *words):
    run = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def authority(folder, name):
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign", "-keyout", f"{name}.key", "-out", f"{name}.pem")


def certificate(folder, by, name, subject, usage):
    """name.pem holds the certificate and its key."""
    openssl(folder, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", subject, "-keyout", f"{name}.key", "-out", f"{name}.csr")
    (folder / f"{name}.ext").write_text(f"subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage={usage}\n")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext",
            "-out", f"{name}.crt")
    (folder / f"{name}.pem").write_text((folder / f"{name}.crt").read_text() + (folder / f"{name}.key").read_text())


class Server:
    def __init__(self, folder, *flags):
        self.folder, self.port, self.flags = folder, free_port(), flags
        self.process = None

    def __enter__(self):
        command = [SECANTUSD, "--host", "127.0.0.1", "--port", self.port, "--storage-path", self.folder / "mongo", *self.flags]
        self.process = Process(command, self.folder / "mongo.log")
        wait_until(lambda: can_connect(self.port), "the server listens", 60)
        return self

    def __exit__(self, *_):
        self.process.kill(signal.SIGTERM)

    def uri(self, user="", query=""):
        return f"mongodb://{user}127.0.0.1:{self.port}/carbond?replicaSet=secantus&serverSelectionTimeoutMS=1500{query}"


@pytest.fixture(scope="module")
def place():
    """Certificates, and a data folder of a node whose users are known to the server."""
    with scratch() as folder:
        authority(folder, "good")
        authority(folder, "evil")
        certificate(folder, "good", "server", "/CN=db1", "serverAuth")
        certificate(folder, "good", "client", "/O=Acme/CN=carbond", "clientAuth")
        certificate(folder, "evil", "stranger", "/O=Acme/CN=carbond", "clientAuth")
        for name, text in (("password", PASSWORD), ("wrong", WRONG)):
            (folder / name).write_text(text + "\n")
        with Server(folder) as server:
            create = "import sys, pymongo; c = pymongo.MongoClient(sys.argv[1]); r = [{'role': 'readWrite', 'db': 'carbond'}, {'role': 'dbAdmin', 'db': 'carbond'}]\n" \
                     "c.admin.command('createUser', 'carbond', pwd=sys.argv[2], mechanisms=['SCRAM-SHA-256'], roles=r)\n" \
                     "c['$external'].command('createUser', 'CN=carbond,O=Acme', roles=r, mechanisms=['MONGODB-X509'])"
            run = subprocess.run([PYTHON, "-c", create, server.uri(), PASSWORD], capture_output=True, text=True)
            assert run.returncode == 0, run.stderr
            daemon = Daemon(folder / "node", settings={"store.uri": server.uri()}).init()
        yield folder, daemon


def check(daemon, uri, **settings):
    """carbond check: (exit code, what it says, seconds); no secret in it, ever."""
    settings = {**daemon.settings, "store.uri": uri, **{f"store.{name}": value for name, value in settings.items()}}
    begin = time.monotonic()
    run = subprocess.run([str(CARBOND), "check", *(f"--{name}={value}" for name, value in settings.items())], capture_output=True, text=True)
    said = run.stdout + run.stderr
    for secret in (PASSWORD, WRONG, "BEGIN PRIVATE KEY"):
        assert secret not in said
    assert len(said.splitlines()) == 1, said
    return run.returncode, said, time.monotonic() - begin


def test_scram_sha_256(place):
    folder, daemon = place
    scram = "&authMechanism=SCRAM-SHA-256&authSource=admin"
    with Server(folder, "--auth") as server:
        assert check(daemon, server.uri("carbond@", scram), password_file=folder / "password")[0] == 0
        code, said, _ = check(daemon, server.uri("carbond@", scram), password_file=folder / "wrong")
        assert code == 1 and re.search(r"[Aa]uthentication failed", said), said
        code, said, _ = check(daemon, server.uri(f"carbond:{WRONG}@", scram))
        assert code == 1 and re.search(r"[Aa]uthentication failed", said), said
        code, said, _ = check(daemon, server.uri("nobody@", scram), password_file=folder / "password")
        assert code == 1 and re.search(r"[Aa]uthentication failed", said), said
        code, said, _ = check(daemon, server.uri())
        assert code == 1 and "auth" in said.lower(), said
        code, said, _ = check(daemon, server.uri("carbond@", scram), password_file=folder / "none")
        assert code == 1 and "password_file" in said and "No such file" in said, said


def test_tls_believes_its_authority_alone(place):
    folder, daemon = place
    with Server(folder, "--tls-cert-file", folder / "server.crt", "--tls-key-file", folder / "server.key") as server:
        assert check(daemon, server.uri(), tls_ca=folder / "good.pem")[0] == 0
        code, said, _ = check(daemon, server.uri(), tls_ca=folder / "evil.pem")
        assert code == 1 and re.search("TLS|certificate", said), said
        code, said, _ = check(daemon, server.uri(), tls_ca=folder / "none.pem")
        assert code == 1 and re.search("TLS|none.pem", said), said
        code, said, _ = check(daemon, server.uri())  # speaks no TLS to a server that wants it
        assert code == 1, said


def test_x509(place):
    folder, daemon = place
    x509 = "&authMechanism=MONGODB-X509&authSource=$external"
    flags = ("--auth", "--tls-cert-file", folder / "server.crt", "--tls-key-file", folder / "server.key", "--tls-ca-file", folder / "good.pem",
             "--tls-require-client-cert")
    with Server(folder, *flags) as server:
        assert check(daemon, server.uri("", x509), tls_ca=folder / "good.pem", tls_certificate_key=folder / "client.pem")[0] == 0
        code, said, _ = check(daemon, server.uri("", x509), tls_ca=folder / "good.pem", tls_certificate_key=folder / "stranger.pem")
        assert code == 1 and re.search("TLS|certificate|handshake|[Ss]uitable servers", said), said
        code, said, _ = check(daemon, server.uri("", x509), tls_ca=folder / "good.pem")
        assert code == 1, said


assert os.access(SECANTUSD, os.X_OK), "./dev test stores installs SecantusDB into .deps"
