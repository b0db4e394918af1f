"""What the end-to-end tests stand on: real mosquitto and real carbond on free ports below 32768, ended by pid; carbonctl as
a user would call it; waiting for conditions instead of sleeping."""
import atexit
import contextlib
import functools
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("CARBOND_BUILD", TOP / "build/dev")).resolve()
CARBOND, CARBONCTL = BUILD / "src/daemon/carbond", BUILD / "cli/carbonctl"
STORE = os.environ.get("CARBOND_TEST_STORE", "sqlite")
assert STORE in ("sqlite", "mongodb"), "CARBOND_TEST_STORE is sqlite or mongodb"
PATIENCE = 4 if STORE == "mongodb" else 1  # a server in between, on the same two cores
SHARED_DATA = pathlib.Path(os.environ.get("CARBOND_SHARED_DATA", TOP.parent / "shared/data"))


def free_port():
    """A port below 32768 that nobody listens on, so that no outgoing connection can take it in between."""
    for _ in range(1000):
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise RuntimeError("no free port")


def wait_until(condition, what, seconds=30):
    """The condition's first true value; an assertion that names `what` after `seconds`."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {seconds} s in vain: {what}"
        time.sleep(0.02)


class Process:
    def __init__(self, arguments, log, environment=None):
        self.log_path = pathlib.Path(log)
        self.log = open(log, "ab")
        self.process = subprocess.Popen([str(word) for word in arguments], stdout=self.log, stderr=subprocess.STDOUT,
                                        env={**os.environ, **(environment or {})})

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process.poll() is None

    def kill(self, how=signal.SIGKILL, seconds=30):
        if self.alive():
            self.process.send_signal(how)
        code = self.process.wait(seconds * PATIENCE)
        self.log.close()
        return code

    def text(self):
        return self.log_path.read_text(errors="replace")


class Broker:
    """mosquitto with the configuration that carbond ships, on a port and a folder of its own."""

    def __init__(self, folder, port=None, extra=""):
        self.folder, self.port, self.process = pathlib.Path(folder), port or free_port(), None
        self.folder.mkdir(parents=True, exist_ok=True)
        shipped = (TOP / "config/mosquitto.conf").read_text()
        kept = [line for line in shipped.splitlines() if not re.match(r"\s*(listener|port|persistence_location|log_dest|user|bind_address|password_file|pid_file)\b", line)]
        owner = "user root\n" if os.geteuid() == 0 else ""
        (self.folder / "mosquitto.conf").write_text("\n".join(kept) + f"\n{owner}listener {self.port} 127.0.0.1\n"
                                                    f"persistence_location {self.folder}/\nlog_dest stdout\n{extra}\n")
        self.start()

    def start(self):
        self.process = Process([shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", self.folder / "mosquitto.conf"], self.folder / "log")
        wait_until(lambda: can_connect(self.port), "mosquitto listens")

    def stop(self, how=signal.SIGTERM):
        return self.process.kill(how)

    def restart(self):
        self.stop()
        self.start()


def can_connect(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class MongoServer:
    """A MongoDB server with a replica set: that of CARBOND_TEST_MONGODB_URI, else mongod where it is on the PATH, else SecantusDB
    (MongoDB's wire protocol and storage engine in one node) from .deps/venv."""

    def __init__(self):
        self.databases, self.process = 0, None
        given = os.environ.get("CARBOND_TEST_MONGODB_URI")
        if given:
            base, _, query = given.partition("?")
            self.base, self.query = re.match(r"(mongodb(?:\+srv)?://[^/]+)", base).group(1), f"?{query}" if query else ""
            self.name = "mongod of CARBOND_TEST_MONGODB_URI"
            return
        self.folder, self.port = pathlib.Path(tempfile.mkdtemp(prefix="carbond-mongo-")), free_port()
        self.base = f"mongodb://127.0.0.1:{self.port}"
        if mongod := shutil.which("mongod"):
            self.name, self.query = "mongod, one node", "?replicaSet=carbond"
            command = [mongod, "--bind_ip", "127.0.0.1", "--port", self.port, "--dbpath", self.folder, "--replSet", "carbond"]
        else:
            self.name, self.query = "SecantusDB 0.7.0b3, one node", "?replicaSet=secantus"
            command = [TOP / ".deps/venv/bin/secantusd-py", "--host", "127.0.0.1", "--port", self.port, "--storage-path",
                       self.folder / "data", "--sync-on-commit", "--enable-test-commands"]
            assert command[0].exists(), "no MongoDB server: ./dev test stores installs SecantusDB into .deps"
        self.command, self.log = command, self.folder / "log"
        atexit.register(self.end)
        self.start()
        if mongod:
            self.initiate()

    def start(self):
        self.process = Process(self.command, self.log)
        wait_until(lambda: can_connect(self.port) or not self.process.alive(), "the MongoDB server listens", 60)
        assert self.process.alive(), self.process.text()[-2000:]

    def initiate(self):
        shell = shutil.which("mongosh") or shutil.which("mongo")
        assert shell, "mongod is on the PATH, but no shell to begin its replica set with"
        members = f"{{_id: 'carbond', members: [{{_id: 0, host: '127.0.0.1:{self.port}'}}]}}"
        subprocess.run([shell, "--quiet", "--port", str(self.port), "--eval", f"rs.initiate({members})"], check=True)

    def new_uri(self):
        self.databases += 1
        return f"{self.base}/carbond_e2e_{os.getpid()}_{self.databases}{self.query}"

    def kill(self):
        self.process.kill()

    def end(self):
        if self.process and self.process.alive():
            self.process.kill(signal.SIGTERM)
        shutil.rmtree(self.folder, ignore_errors=True)


@functools.cache
def mongo_server():
    """The one server of this run."""
    server = MongoServer()
    print(f"the store is MongoDB: shown on {server.name}")
    return server


class Daemon:
    """carbond over one data directory; the same port after each start."""

    def __init__(self, folder, broker=None, settings=None):
        self.folder, self.port, self.process = pathlib.Path(folder), free_port(), None
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / "data"
        self.settings = {"http.port": self.port, "data_dir": self.data, "node": "test", "log.level": "info", **(settings or {})}
        self.data = pathlib.Path(self.settings["data_dir"])
        if STORE == "mongodb" and "store.uri" not in self.settings:
            self.settings["store.uri"] = mongo_server().new_uri()
        if broker:
            self.settings |= {"mqtt.enabled": "true", "mqtt.host": "127.0.0.1", "mqtt.port": broker.port}
        else:
            self.settings |= {"mqtt.enabled": "false"}
        self.key, self.position, self.positioned = None, 0, None

    def holds(self, needle):
        """Whether the bytes are anywhere in what the store keeps."""
        if STORE == "sqlite":
            return any(needle in path.read_bytes() for path in self.data.glob("*.db*"))
        dump = "import sys, pymongo\nfor c in (d := pymongo.MongoClient(sys.argv[1]).get_default_database()).list_collection_names():\n" \
               "    for document in d[c].find_raw_batches(): sys.stdout.buffer.write(document)"
        run = subprocess.run([TOP / ".deps/venv/bin/python", "-c", dump, self.settings["store.uri"]], capture_output=True, check=True)
        return needle in run.stdout

    def flags(self):
        return [f"--{name}={value}" for name, value in self.settings.items()]

    def init(self, organisation="acme"):
        run = subprocess.run([str(CARBOND), "init", *self.flags(), "--organisation", organisation, "--json"], capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr
        self.first = json.loads(run.stdout)
        self.key = self.first["key"]
        return self

    def start(self, ready=True, environment=None):
        self.process = Process([CARBOND, "run", *self.flags()], self.folder / "log", environment)
        if ready:
            try:
                wait_until(self.ready, "carbond is ready", 60)
            except AssertionError as wrong:
                raise AssertionError(f"{wrong}; it says {self.said()}; its log ends\n{self.process.text()[-3000:]}") from None
        return self

    def said(self):
        try:
            return self.request("GET", "/readyz", timeout=10)[:2]
        except (OSError, http.client.HTTPException) as error:
            return error

    def ready(self):
        assert self.process.alive(), "carbond has ended:\n" + self.process.text()[-3000:]
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.request("GET", "/readyz")[0] == 200
        return False

    def stop(self, how=signal.SIGTERM):
        return self.process.kill(how)

    def request(self, method, path, body=None, headers=None, key=None, timeout=60):
        """(status, parsed JSON or text, headers)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            headers = dict(headers or {})
            if key or self.key:
                headers.setdefault("Authorization", f"Bearer {key or self.key}")
            if body is not None and not isinstance(body, (bytes, str)):
                body = json.dumps(body)
                headers.setdefault("Content-Type", "application/json")
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
            kind = answer.headers.get("Content-Type", "")
            if position := answer.headers.get("Carbond-Position"):
                self.saw(int(position.partition(".")[2]))
            return answer.status, json.loads(text) if "json" in kind and text and "ndjson" not in kind else text, dict(answer.headers)
        finally:
            connection.close()

    def saw(self, position):
        """A position of the journal that an answer has named: what is read afterwards has seen it (decision 12)."""
        self.position = max(self.position, position)

    def takes_position(self, path):
        """Whether the route of the path takes at-least=, by carbond's own document."""
        if self.positioned is None:
            document = self.request("GET", "/openapi.json")[1]
            self.positioned = [re.compile(re.sub(r"\{\w+\}", "[^/]+", template) + r"\Z") for template, methods in document["paths"].items()
                               if any(parameter["name"] == "at-least" for parameter in methods.get("get", {}).get("parameters", []))]
        return any(pattern.match(path) for pattern in self.positioned)

    def get(self, path, **more):
        """Reads what this daemon has been told to do before, as a client does that keeps the last position it was given, and asks again
        where the views are not there yet."""
        bare, _, query = path.partition("?")
        if self.position and "at-least=" not in query and self.takes_position(bare):
            path = f"{bare}?{query}{'&' if query else ''}at-least={self.position}"

        def answered():
            given = self.request("GET", path, **more)
            return given if given[0] != 504 or "at-least=" not in path else None

        status, body, _ = wait_until(answered, f"the views are there for {path}")
        assert status == 200, (path, status, body)
        return body

    def metric(self, name):
        text = self.get("/metrics").decode()
        return sum(float(line.split()[-1]) for line in text.splitlines() if re.match(rf"{name}(\{{| )", line))

    def ctl(self, *arguments, key=None, check=True, data=None):
        """carbonctl with --json: its parsed output."""
        run = subprocess.run([str(CARBONCTL), *[str(word) for word in arguments], "--json"], capture_output=True, text=True, input=data,
                             env={**os.environ, "CARBOND_URL": f"http://127.0.0.1:{self.port}", "CARBOND_API_KEY": key or self.key})
        if check:
            assert run.returncode == 0, (arguments, run.returncode, run.stdout, run.stderr)
        answer = json.loads(run.stdout) if run.stdout.strip() else None
        if isinstance(answer, dict) and "command" in answer and "position" in answer:
            self.saw(answer["position"])
        return answer


@contextlib.contextmanager
def scratch():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="carbond-e2e."))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
