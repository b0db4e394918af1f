"""The main job as its users do it over REST: a plant sends, an operator submits, two verifiers sign, an issuer issues, a trader
transfers, a buyer retires."""
import json
import os
import re
import secrets
import subprocess
import time
import uuid

from harness import CARBONCTL, wait_until


def uuid7(at=None):
    milliseconds = int((at or time.time()) * 1000)
    number = (milliseconds << 80) | (7 << 76) | (secrets.randbits(12) << 64) | (2 << 62) | secrets.randbits(62)
    return str(uuid.UUID(int=number))


class Story:
    def __init__(self, daemon, folder):
        self.daemon, self.folder, self.keys, self.orgs = daemon, folder, {}, {}
        self.orgs["acme"] = daemon.first["organisation_id"]

    def post(self, path, body=None, key=None, command=None, expect=(200, 201, 202)):
        """Asked again, with the same id, where carbond says that nothing was done and when to come back."""
        headers = {"Idempotency-Key": command or uuid7()}
        def answered():
            given = self.daemon.request("POST", path, body, headers, key=self.keys.get(key))
            return None if given[0] == 503 and 503 not in expect and "Retry-After" in given[2] else given

        status, answer, _ = wait_until(answered, f"POST {path} is taken")
        assert status in expect, (path, status, answer)
        return answer

    def organisation(self, slug, **roles):
        if slug not in self.orgs:
            self.orgs[slug] = self.post("/v1/organisations", {"slug": slug, "name": slug.title(), "country": "IS"})["id"]
        for label, role in roles.items():
            self.keys[label] = self.post("/v1/keys", {"org_id": self.orgs[slug], "label": label, "roles": role})["key"]

    def people(self):
        self.organisation("acme", operator=["operator", "org-admin"], trader=["trader"])
        self.organisation("north", north=["verifier"])
        self.organisation("south", south=["verifier"])
        self.organisation("registry", issuer=["issuer"], auditor=["auditor"], compliance=["compliance"])
        self.organisation("globex", buyer=["buyer", "trader"])
        self.verifiers, trusted = {}, []
        for name in ("north", "south"):
            key = self.ctl("sign", "keygen", self.folder / f"{name}.key")
            made = self.post("/v1/verifiers", {"org_id": self.orgs[name], "key": key["key"], "valid_from": "2025-01-01T00:00:00Z",
                                               "valid_to": "2035-01-01T00:00:00Z"})
            self.verifiers[name] = made["id"]
            trusted.append({"role": "verifier", "name": name, "organisation": self.orgs[name], "key": key["key"]})
        self.ctl("checkpoint", "--socket", self.daemon.data / "admin.sock")
        checkpoint = self.daemon.get("/v1/audit/checkpoints/latest", key=self.keys["auditor"])
        trusted.append({"role": "checkpoint", "name": "carbond", "key": checkpoint["key"]})
        (self.folder / "keys.json").write_text(json.dumps({"keys": trusted}))
        return self

    def ctl(self, *arguments, key=None, code=0):
        run = subprocess.run([str(CARBONCTL), *map(str, arguments), "--json"], capture_output=True, text=True,
                             env={**os.environ, "CARBOND_URL": f"http://127.0.0.1:{self.daemon.port}",
                                  "CARBOND_API_KEY": self.keys.get(key) or self.daemon.key})
        assert run.returncode == code, (arguments, run.returncode, run.stdout[-2000:], run.stderr[-2000:])
        return json.loads(run.stdout) if run.stdout.strip().startswith(("{", "[")) else run.stdout

    def plant(self, broker, start, end, *more, daemons=None):
        """Sends a plant's readings, and waits until the daemon, or those that share its broker's messages, have them: that the broker has
        acknowledged them says nothing of it."""
        daemons = daemons or getattr(self.daemon, "nodes", [self.daemon])
        taken = lambda: sum(daemon.metric(f"carbond_ingest_{kind}_total") for daemon in daemons for kind in ("readings", "quarantined"))
        before = taken()
        run = subprocess.run([str(CARBONCTL), "simulate", "--create", "--broker", f"127.0.0.1:{broker.port}", "--from", start, "--to", end,
                              *map(str, more)], capture_output=True, text=True,
                             env={**os.environ, "CARBOND_URL": f"http://127.0.0.1:{self.daemon.port}", "CARBOND_API_KEY": self.keys["operator"]})
        assert run.returncode == 0, run.stderr
        sent = int(re.findall(r"(\d+) readings acknowledged", run.stderr)[-1])
        wait_until(lambda: taken() - before >= sent, f"{sent} readings have arrived")
        units = self.daemon.get("/v1/units", key=self.keys["operator"])["items"]
        self.unit = next(unit for unit in units if unit["slug"] == "dac-1")["id"]
        return self

    def project(self):
        self.project_id = self.post("/v1/projects", {
            "unit_id": self.unit, "name": "Hellisheidi", "methodology": "DAC1", "methodology_version": 1, "kind": "removal",
            "storage": "basalt", "atmospheric_ppm": 1000000, "biogenic_ppm": 0, "fossil_ppm": 0, "recycled_ppm": 0,
            "durability_class": "geological", "risk_score": 5, "factor_set": "ember", "factor_set_version": 1,
            "electricity_factor": "grid-is", "crediting_from": "2026-01-01T00:00:00Z", "crediting_to": "2031-01-01T00:00:00Z",
            "schedules": [
                {"category": "materials", "basis": "per_tonne", "label": "sorbent", "amount_g": 18000, "uncertainty_ppm": 150000, "source": "supplier's declaration"},
                {"category": "embodied", "basis": "amortised", "label": "plant", "amount_g": 400000000, "uncertainty_ppm": 200000,
                 "from": "2026-01-01T00:00:00Z", "to": "2046-01-01T00:00:00Z", "source": "life cycle assessment"}]}, key="operator")["id"]
        return self

    def period(self, start, end):
        return self.post("/v1/periods", {"project_id": self.project_id, "from": start, "to": end}, key="operator")["id"]

    def submit(self, period):
        job = self.post(f"/v1/periods/{period}/submit", key="operator")
        done = wait_until(lambda: (lambda j: j if j["state"] in ("done", "failed") else None)(
            self.daemon.get(f"/v1/jobs/{job['id']}", key=self.keys["operator"])), "the period is submitted")
        assert done["state"] == "done", done
        return self.daemon.get(f"/v1/periods/{period}/submissions", key=self.keys["operator"])["items"]

    def pack(self, submission, key="auditor"):
        path = self.folder / f"{submission}.tar"
        status, body, _ = self.daemon.request("GET", f"/v1/periods/{submission}/pack", key=self.keys[key])
        assert status == 200, body
        path.write_bytes(body)
        return path

    def sign(self, submission, name):
        pack = self.pack(submission, key=name)
        signature = self.ctl("sign", pack, "--key", self.folder / f"{name}.key")
        return self.post(f"/v1/periods/{submission}/attestations", {"verifier_id": self.verifiers[name], "evidence_root": signature["evidence_root"],
                                                                   "signature": signature["signature"]}, key=name)

    def issue(self, submission):
        for name in ("north", "south"):
            self.sign(submission, name)
        return self.post(f"/v1/periods/{submission}/issue", key="issuer")
