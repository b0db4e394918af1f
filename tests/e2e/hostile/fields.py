"""Every field of every request body and every parameter, from the tables: rows are made from the OpenAPI document that the daemon
serves, which is made from the same tables as its readers. For each field its wrong types, what lies outside its stated range, null
where it is required, and what the server sets itself."""
import json
import re

from harness import TOP
from hostile import Ask, Row

ID, NOBODY = "0190b3a0-0000-7000-8000-000000000077", "00000000-0000-0000-0000-000000000000"
TIMES = ("", "yesterday", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01 00:00:00", "2026-01-01T00:00:00", "1969-12-31T23:59:59Z", "10000-01-01T00:00:00Z", "2026-01-01T00:00:00.1234567Z")
IDS = ("", "x", ID[:-1], ID + "0", "{" + ID + "}", ID.replace("-", ""), ID.replace("0", "g"), "'; DROP TABLE units; --", "../../etc/passwd")
DECIMALS = ("", "1,5", "1e5", "NaN", "Infinity", "0x1", " 1", "1 ", "+1", "01", ".5", "5.", "--1", "1.0000000000001", "9" * 40)
HASHES = ("", "a" * 63, "a" * 65, "g" * 64, "0x" + "a" * 62)

# what the organisation's own key may, whose roles are all but platform-admin, compliance, auditor and device
GRANTS = re.findall(r'^PERMISSION\("([a-z:-]+)",([^"]*)', (TOP / "include/carbond/roles.def").read_text(), re.MULTILINE)
OWN = {name for name, reach in GRANTS if any(cell.strip() != "NO" for column, cell in enumerate(reach.split(",")[:11]) if column not in (0, 7, 8, 10))}


class Tables:
    def __init__(self, openapi, unit):
        self.paths, self.schemas, self.unit = openapi["paths"], openapi["components"]["schemas"], unit

    def resolve(self, schema):
        return self.schemas[schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema

    def example(self, schema):
        """A value that the field's reader takes."""
        schema = self.resolve(schema)
        if "enum" in schema:
            return schema["enum"][0]
        kind, form = schema.get("type"), schema.get("format")
        if form == "date-time":
            return "2026-01-01T00:00:00Z"
        if form == "uuid":
            return ID
        if kind == "integer":
            return max(schema["minimum"], min(1, schema["maximum"]))
        if kind == "number":
            return schema.get("minimum", 0)
        if kind == "boolean":
            return True
        if kind == "array":
            return [self.example(schema["items"]) for _ in range(schema.get("minItems", 0))]
        if kind == "object":
            return {name: self.example(schema["properties"][name]) for name in schema.get("required", [])}
        if "contentEncoding" in schema:
            return "A" * 86
        if "{64}" in schema.get("pattern", ""):
            return "a" * 64
        if "pattern" in schema:
            return "1"
        return "a" * min(schema["maxLength"], max(4, schema.get("minLength", 0)))

    def wrong(self, schema):
        """(name, value) of what the reader must refuse."""
        schema = self.resolve(schema)
        kind, form = schema.get("type"), schema.get("format")
        if kind is None:
            return
        wrong = {"an object": {}, "an array": [], "true": True, "a number": 7, "a real": 0.5, "text": "nonsense"}
        takes = {"object": ("an object",), "array": ("an array",), "boolean": ("true",), "integer": ("a number",), "number": ("a number", "a real"), "string": ("text",)}[kind]
        yield from ((name, value) for name, value in wrong.items() if name not in takes)
        if kind in ("integer", "number") and "minimum" in schema:
            step = 1 if kind == "integer" else 0.001
            if schema["minimum"] > -2**63:
                yield "below its range", schema["minimum"] - step
            if schema["maximum"] < 2**63 - 1:
                yield "above its range", schema["maximum"] + step
        if kind == "array":
            if schema["maxItems"] < 2000:
                yield "one item too many", [self.example(schema["items"])] * (schema["maxItems"] + 1)
            if schema.get("minItems"):
                yield "empty", []
        if kind == "string":
            texts = {"date-time": TIMES, "uuid": IDS}.get(form, ())
            if "enum" in schema:
                texts = ("", schema["enum"][0].upper() + "x", schema["enum"][0] + " ")
            elif "contentEncoding" in schema:
                texts = ("+/", "A===", "A B", "A")
            elif "{64}" in schema.get("pattern", ""):
                texts = HASHES
            elif "pattern" in schema:
                texts = DECIMALS
            elif not texts:
                if "maxLength" in schema:
                    yield "one byte too long", "a" * (schema["maxLength"] + 1)
                    yield "too long beyond ASCII", "é" * (schema["maxLength"] // 2 + 1)
                if schema.get("minLength"):
                    yield "empty", ""
                yield "control character", "a\x01"
            yield from ((f"{text[:44]!r} of {len(text)} bytes" if len(text) > 44 else repr(text), text) for text in texts)

    def bodies(self):
        for path, methods in self.paths.items():
            for method, operation in methods.items():
                content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
                schema = self.resolve(content.get("schema", {}))
                if schema.get("properties"):
                    yield method.upper(), path, operation, schema

    def asked(self, method, path, operation, body):
        headers = {}
        for parameter in operation.get("parameters", []):
            if parameter["name"] == "Idempotency-Key":
                headers["Idempotency-Key"] = ID
            elif parameter["name"] == "If-Match":
                headers["If-Match"] = "*"
            elif parameter["in"] == "path":
                path = path.replace("{%s}" % parameter["name"], self.path_value(path, parameter))
        return Ask(method, path, body, headers, self.key_of(operation["x-permission"]))

    @staticmethod
    def key_of(permission):
        """The key that may: platform-admin where only it may, else the organisation's own."""
        return {"journal:read": "compliance", "audit:read": "compliance", "period:hold": "admin"}.get(permission) or ("all" if permission in OWN else "admin")

    def path_value(self, path, parameter):
        if parameter["name"] == "batch":
            return "1"
        for prefix, name in (("/v1/units/", "UNIT"), ("/v1/metering-points/", "POINT"), ("/v1/sensors/", "SENSOR"), ("/v1/organisations/", "ORG"), ("/v1/projects/", "PROJECT"), ("/v1/periods/", "PERIOD")):
            if path.startswith(prefix + "{"):
                return name
        return ID

    def read_only(self, operation):
        for code in ("200", "201", "202"):
            schema = operation["responses"].get(code, {}).get("content", {}).get("application/json", {}).get("schema", {})
            properties = self.resolve(schema).get("properties", {})
            yield from (name for name, field in properties.items() if field.get("readOnly"))

    def body_rows(self):
        for method, path, operation, schema in self.bodies():
            good = self.example(schema)
            changes = method == "PATCH"
            said = f"{method} {path}"
            if changes:
                good = {}
            for name, field in schema["properties"].items():
                field = self.resolve(field)
                # where a change finds a field that is fixed at creation, it says so and looks no further
                refused = "422 invalid-field|read-only-field" if changes else "422 invalid-field"
                for what, value in self.wrong(field):
                    yield Row(f"{said}: {name} is {what}", self.asked(method, path, operation, {**good, name: value}), f"{refused} /{name}")
                if name in schema.get("required", []) and not changes:
                    yield Row(f"{said}: {name} is null", self.asked(method, path, operation, {**good, name: None}), f"422 missing-field /{name}")
                    rest = {key: value for key, value in good.items() if key != name}
                    yield Row(f"{said}: {name} is not there", self.asked(method, path, operation, rest), f"422 missing-field /{name}")
                yield from self.inner_rows(said, method, path, operation, good, name, field, changes)
            yield Row(f"{said}: an unknown member", self.asked(method, path, operation, {**good, "zzz": 1}), "422 unknown-field /zzz")
            yield Row(f"{said}: a member by its pointer", self.asked(method, path, operation, {**good, "/a~": 1}), "422 unknown-field /~1a~0")
            yield Row(f"{said}: no body", self.asked(method, path, operation, b""), "400 invalid-json")
            yield Row(f"{said}: an array for a body", self.asked(method, path, operation, []), "400 invalid-json")
            for name in self.read_only(operation):
                if name not in schema["properties"]:
                    yield Row(f"{said}: {name} is the server's", self.asked(method, path, operation, {**good, name: None}), f"422 read-only-field|unknown-field /{name}")

    def inner_rows(self, said, method, path, operation, good, name, field, changes):
        """Members of a list's items and of an object."""
        if changes:
            return
        items = self.resolve(field.get("items", {})) if field.get("type") == "array" else {}
        if items.get("properties"):
            whole = self.example(items)
            for inner, schema in items["properties"].items():
                for what, value in self.wrong(schema):
                    yield Row(f"{said}: {name}/0/{inner} is {what}", self.asked(method, path, operation, {**good, name: [{**whole, inner: value}]}), f"422 invalid-field /{name}/0/{inner}")
            yield Row(f"{said}: {name}/0 has an unknown member", self.asked(method, path, operation, {**good, name: [{**whole, "zzz": 1}]}), f"422 unknown-field /{name}/0/zzz")
        if items:
            yield Row(f"{said}: {name}/0 is null", self.asked(method, path, operation, {**good, name: [None]}), f"422 invalid-field /{name}/0")
            yield Row(f"{said}: {name}/1 is a number", self.asked(method, path, operation, {**good, name: [self.example(items), 5]}), f"422 invalid-field /{name}/1")

    def parameter_rows(self):
        for path, methods in self.paths.items():
            for method, operation in methods.items():
                parameters = operation.get("parameters", [])
                queries = [parameter for parameter in parameters if parameter["in"] == "query"]
                if method != "get" or operation["x-permission"] == "public":
                    continue
                ask = self.asked("GET", path, operation, None)
                required = {parameter["name"]: str(self.example(parameter["schema"])) for parameter in queries if parameter.get("required")}
                if path == "/v1/readings":  # whose sensors or unit_id is needed for any of its cursors
                    required["unit_id"] = self.unit
                for parameter in queries:
                    for what, value in self.wrong_texts(parameter):
                        given = {**required, parameter["name"]: value}
                        target = ask.target + "?" + "&".join(f"{key}={quote(value)}" for key, value in given.items())
                        slug = "400 invalid-cursor" + ("|404 not-found" if path.endswith("requantifications") else "") if parameter["name"] == "cursor" else f"422 invalid-field /{parameter['name']}"
                        yield Row(f"GET {path}: {parameter['name']} is {what}", ask._replace(target=target), slug)
                    if parameter.get("required"):
                        rest = "&".join(f"{key}={quote(value)}" for key, value in required.items() if key != parameter["name"])
                        yield Row(f"GET {path}: {parameter['name']} is not there", ask._replace(target=ask.target + "?" + rest), f"422 missing-field /{parameter['name']}")
                yield Row(f"GET {path}: an unknown parameter", ask._replace(target=ask.target + "?zzz=1"), "422 unknown-field /zzz")

    @staticmethod
    def wrong_texts(parameter):
        schema = parameter["schema"]
        kind, form, name = schema.get("type"), schema.get("format"), parameter["name"]
        if name == "cursor":
            texts = ("x", "AAAA", "W10", "e30", "bnVsbA", "W1siYSJdXQ", "'; --", "%", "A" * 5000)
        elif kind == "integer":
            texts = ("", "x", "1.5", "1e3", "0x10", "+1", " 1", "1 ", "-1", "9223372036854775808", "99999999999999999999999", "١")
            texts += (str(schema["maximum"] + 1),) if schema.get("maximum", 2**63) < 2**63 - 1 else ()
        elif form == "uuid":
            texts = IDS
        elif form == "date-time":
            texts = TIMES
        elif "enum" in schema:
            texts = ("", "nope", schema["enum"][0].upper() + "X", schema["enum"][0] + ",")
        elif kind == "number":
            texts = ("", "x", "nan", "inf", "1,5", "0x1", "1e400")
        else:
            texts = ()
        return ((f"{text[:44]!r} of {len(text)} bytes" if len(text) > 44 else repr(text), text) for text in texts)

    def path_rows(self):
        for path, methods in self.paths.items():
            if "{id}" not in path and "{org_id}" not in path and "{batch}" not in path:
                continue
            for method, operation in methods.items():
                if operation["x-permission"] == "public":
                    continue
                content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
                body = self.example(self.resolve(content["schema"])) if content else None
                ask = self.asked(method.upper(), path, operation, {} if method == "patch" else body)
                required = {parameter["name"]: str(self.example(parameter["schema"])) for parameter in operation.get("parameters", []) if parameter["in"] == "query" and parameter.get("required")}
                query = "?" + "&".join(f"{key}={quote(value)}" for key, value in required.items()) if required else ""
                bad = ("x", "-1", "0x1", "1.5", "9223372036854775808", "%C2%A0") if "{batch}" in path else ("x", ID[:-1], ID + "0", "{" + ID + "}", "%20", NOBODY[:-1] + "g", "%27%20or%20%271%27=%271")
                for value in bad:
                    target = path.replace("{id}", value).replace("{org_id}", value).replace("{batch}", value).replace("{", "%7B").replace("}", "%7D")
                    yield Row(f"{method.upper()} {path}: the path has {value}", ask._replace(target=target + query), "400 invalid-id|404 not-found|422 invalid-field")


def quote(text):
    return "".join(chr(byte) if chr(byte).isalnum() and byte < 128 or chr(byte) in "-_.~" else f"%{byte:02X}" for byte in text.encode())


def rows(openapi, unit):
    tables = Tables(openapi, unit)
    yield from tables.body_rows()
    yield from tables.parameter_rows()
    yield from tables.path_rows()
