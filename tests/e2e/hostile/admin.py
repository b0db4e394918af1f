"""Lines to the admin socket. Whoever may connect is the daemon's own user; a broken script is hostile enough."""
from hostile import Row


def rows():
    for name, line, expect in (
            ("text", b"nonsense\n", "400 invalid-json"), ("an array", b"[]\n", "422 invalid-field /verb"), ("an empty object", b"{}\n", "422 invalid-field /verb"), ("a verb that is a number", b'{"verb":1}\n', "422 invalid-field /verb"),
            ("an unknown verb", b'{"verb":"shutdown"}\n', "404 no-route"), ("an empty verb", b'{"verb":""}\n', "404 no-route"), ("a verb twice", b'{"verb":"status","verb":"status"}\n', "400 invalid-json"), ("depth 100", b"[" * 100 + b"\n", "400 too-deep"),
            ("NUL", b"\0\n", "400 invalid-json"), ("a byte order mark", b"\xef\xbb\xbf{}\n", "400 invalid-json"), ("0xff", b'{"verb":"\xff"}\n', "400 invalid-json"), ("1e400", b'{"verb":1e400}\n', "400 invalid-json"), ("an HTTP request", b"GET / HTTP/1.1\r\n", "400 invalid-json"),
            ("a line without its end of 64 KiB", b'{"verb":"' + b"a" * (64 << 10), "closed"), ("a verb of 60,000 bytes", b'{"verb":"' + b"a" * 60000 + b'"}\n', "404 no-route"), ("a backup without a folder", b'{"verb":"backup"}\n', "422 invalid-field /folder"),
            ("a backup to a relative folder", b'{"verb":"backup","folder":"../x"}\n', "422 invalid-field /folder"), ("a backup to a number", b'{"verb":"backup","folder":5}\n', "422 invalid-field /folder"), ("a backup to a file", b'{"verb":"backup","folder":"/dev/null"}\n', "500 input-output"),
            ("a key without members", b'{"verb":"keys.create"}\n', "422 missing-field|invalid-field"), ("a key of a role that is none", b'{"verb":"keys.create","organisation":"acme","label":"x","roles":["king"]}\n', "422 missing-field|invalid-field|unknown-field"),
            ("revoke no key", b'{"verb":"keys.revoke"}\n', "422 missing-field|invalid-field"), ("revoke a key that is none", b'{"verb":"keys.revoke","id":"x"}\n', "422 missing-field|invalid-field"), ("an organisation without members", b'{"verb":"organisations.create"}\n', "422 missing-field|invalid-field"),
            ("an organisation with a wildcard", b'{"verb":"organisations.create","slug":"#","name":"x","country":"DE"}\n', "422 invalid-field /slug"), ("an empty line, then a verb", b'\n{"verb":"nothing"}\n', "404 no-route")):
        yield Row(f"admin socket: {name}", line, expect)
