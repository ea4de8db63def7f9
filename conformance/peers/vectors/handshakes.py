"""aznet/handshake-edges.json and aznet/tokens.json: families 1 to 21 and 42."""

import json
import uuid

from noise.connection import Keypair, NoiseConnection

import model
from peer import File, draw, fails, step

PROFILES = ("nn", "nnpsk0", "nk")
TOKENS = '{"req":"sv=2021-12-02&sp=a","res":"sv=2021-12-02&sp=r"}'
SHORT = '{"req":"a","res":"b"}'


def an_id(label):
    return str(uuid.UUID(bytes=draw(label, 16), version=4))


class Session:
    """One handshake's secrets, and its operations."""

    def __init__(self, label, profile):
        self.profile = profile
        self.id = an_id(label)
        self.e, self.r = draw(label + " e", 32), draw(label + " r", 32)
        self.s, self.psk = draw(label + " s", 32), draw(label + " psk", 32)
        self.rs = model.public(self.s)

    def keys(self, dialer):
        if self.profile == "nnpsk0":
            return {"psk": self.psk.hex()}
        if self.profile == "nk":
            return {"rs": self.rs.hex()} if dialer else {"s": self.s.hex()}
        return {}

    def first(self, payload=None, **kw):
        payload = self.id.encode() if payload is None else payload
        psk = self.psk if self.profile == "nnpsk0" else None
        rs = self.rs if self.profile == "nk" else None
        return model.first(self.profile, kw.pop("e", self.e), payload, psk=psk, rs=rs, **kw)

    def both(self, tokens):
        msg1, state = self.first()
        msg2, keys = model.second(self.profile, state, self.r, msg1[:32], tokens)
        return msg1, msg2, keys

    def dial(self, msg1):
        return step({"msg1": msg1.hex()}, {"h": "handle"}, op="aznet.dial", id=self.id, e=self.e.hex(),
                    profile=self.profile, **self.keys(True))

    def accept(self, expect, msg1, tokens=TOKENS):
        return step(expect, op="aznet.accept", e=self.r.hex(), msg1=msg1.hex(), tokens=tokens,
                    profile=self.profile, **self.keys(False))

    def refuse(self, kind, msg1, tokens=TOKENS):
        return self.accept({"error": {"class": kind}}, msg1, tokens)


def finish(expect, msg2):
    return step(expect, op="aznet.finish", handle="$h", msg2=msg2.hex())


def no(kind):
    return {"error": {"class": kind}}


def connection(session, initiator):
    """The same session with the Python package noiseprotocol."""
    made = NoiseConnection.from_name(model.NAMES[session.profile])
    if session.profile == "nnpsk0":
        made.set_psks(psk=session.psk)
    if session.profile == "nk" and initiator:
        made.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, session.rs)
    if session.profile == "nk" and not initiator:
        made.set_keypair_from_private_bytes(Keypair.STATIC, session.s)
    made.set_keypair_from_private_bytes(Keypair.EPHEMERAL, session.e if initiator else session.r)
    (made.set_as_initiator if initiator else made.set_as_responder)()
    made.start_handshake()
    return made


def whole(out, session, tokens):
    dialer, listener = connection(session, True), connection(session, False)
    msg1 = bytes(dialer.write_message(session.id.encode()))
    assert bytes(listener.read_message(msg1)) == session.id.encode()
    msg2 = bytes(listener.write_message(tokens.encode()))
    assert bytes(dialer.read_message(msg2)) == tokens.encode()
    assert (msg1, msg2) == session.both(tokens.encode())[:2], "the model and noiseprotocol differ"
    keys = session.both(tokens.encode())[2]
    assert dialer.get_handshake_hash().hex() == keys["hash"]
    parsed = json.loads(tokens)
    out.add(f"{session.profile}: whole handshake, message 2 of {len(msg2)} bytes",
            session.dial(msg1),
            session.accept({"id": session.id, "msg2": msg2.hex(), **keys}, msg1, tokens),
            finish({"req": parsed["req"], "res": parsed["res"], **keys}, msg2),
            hardened=session.profile != "nn")


BAD_IDS = {
    "empty": b"",
    "not UTF-8": b"\xff\xfe\xfd",
    "a UUID with a byte that is not UTF-8": None,
    "upper case": None,
    "without hyphens": None,
    "a path up": b"../x",
    "a path with a query": b"a/b?c",
    "NUL at the end": None,
    "CR LF at the end": None,
    "NUL in the middle": None,
    "the handshake resource": b"handshake",
    "the token resource": b"token",
    "$root": b"$root",
    "$web": b"$web",
    "$logs": b"$logs",
    "64 characters": b"a" * 64,
    "1000 characters": b"a" * 1000,
    "36 spaces": b" " * 36,
    "a container's name": b"backup-2026",
}


def bad_ids(label):
    good = an_id(label).encode()
    yield from ((name, text) for name, text in BAD_IDS.items() if text is not None)
    yield "upper case", good.upper()
    yield "without hyphens", good.replace(b"-", b"")
    yield "a UUID with a byte that is not UTF-8", good[:-1] + b"\xe9"
    yield "NUL at the end", good + b"\0"
    yield "CR LF at the end", good + b"\r\n"
    yield "NUL in the middle", good[:18] + b"\0" + good[19:]


def lengths(out, profile):
    session = Session(f"lengths {profile}", profile)
    hardened = profile != "nn"
    msg1, msg2, _ = session.both(SHORT.encode())
    for size in range(32 if profile == "nn" else 48):
        out.add(f"{profile}: message 1 of {size} bytes", session.refuse("truncated", msg1[:size]), hardened=hardened)
    for size in range(48):
        out.add(f"{profile}: message 2 of {size} bytes", session.dial(msg1), finish(no("truncated"), msg2[:size]),
                hardened=hardened)
    for size in range(48, len(msg2)):
        out.add(f"{profile}: message 2 cut to {size} bytes", session.dial(msg1), finish(no("auth"), msg2[:size]),
                hardened=hardened)
    if hardened:
        for size in range(48, len(msg1)):
            out.add(f"{profile}: message 1 cut to {size} bytes", session.refuse("auth", msg1[:size]), hardened=True)
    out.add(f"{profile}: message 1 of 65,536 bytes", session.refuse("limit", session.first(b"a" * 65_504)[0]
            if profile == "nn" else session.first(b"a" * 65_488)[0]), hardened=hardened)
    # The longest that may be: refused for what is in it, not for its size.
    payload = b"a" * (65_503 if profile == "nn" else 65_487)
    out.add(f"{profile}: message 1 of 65,535 bytes whose id is none", session.refuse("name", session.first(payload)[0]),
            hardened=hardened)
    for size, limit in ((65_535, False), (65_536, True)):
        tokens = json.dumps({"req": "r" * (size - 48 - 19), "res": ""}, separators=(",", ":"))
        tokens = tokens[:-3] + '""}'
        assert len(tokens) == size - 48
        sealed, keys = session.both(tokens.encode())[1:]
        if limit:
            out.add(f"{profile}: tokens that make message 2 {size} bytes", session.refuse("limit", msg1, tokens),
                    hardened=hardened)
            out.add(f"{profile}: an authentic message 2 of {size} bytes", session.dial(msg1),
                    finish(no("limit"), sealed), hardened=hardened)
        elif profile == "nn":
            out.add(f"{profile}: message 2 of {size} bytes, the longest", session.dial(msg1),
                    session.accept({"id": session.id, **keys}, msg1, tokens),
                    finish({"req": "r" * (size - 67), "res": "", **keys}, sealed), hardened=hardened)


def flips(out, profile):
    session = Session(f"flips {profile}", profile)
    hardened = profile != "nn"
    msg1, msg2, _ = session.both(SHORT.encode())

    def flipped(message, at):
        bit = 1 << draw(f"{profile} bit {at}", 1)[0] % 8
        return bit, message[:at] + bytes([message[at] ^ bit]) + message[at + 1:]

    for at in range(len(msg2)):
        bit, altered = flipped(msg2, at)
        out.add(f"{profile}: message 2 with bit 0x{bit:02x} of byte {at} flipped", session.dial(msg1),
                finish(no("auth"), altered), hardened=hardened)
    if hardened:
        for at in range(len(msg1)):
            bit, altered = flipped(msg1, at)
            out.add(f"{profile}: message 1 with bit 0x{bit:02x} of byte {at} flipped",
                    session.refuse("auth", altered), hardened=True)
    out.add(f"{profile}: message 1 altered on the way; the dialer notices", session.dial(msg1),
            finish(no("auth"), Session(f"flips {profile} other", profile).both(SHORT.encode())[1]), hardened=hardened)


def weak(out, profile):
    """Every low-order key, in messages that are authentic under the all-zero secret it gives."""
    session = Session(f"weak {profile}", profile)
    hardened = profile != "nn"
    msg1, _ = session.first()
    for key in model.LOW_ORDER:
        name = key.hex()[:8] + "…" + key.hex()[-4:]
        crafted, _ = session.first(e=None, e_public=key)
        out.add(f"{profile}: message 1 with the low-order key {name}", session.refuse("weak_key", crafted),
                hardened=hardened)
        _, state = session.first()
        crafted, _ = model.second(profile, state, None, msg1[:32], SHORT.encode(), e_public=key)
        out.add(f"{profile}: message 2 with the low-order key {name}", session.dial(msg1),
                finish(no("weak_key"), crafted), hardened=hardened)
        if profile == "nk":
            out.add(f"nk: the listener's key is the low-order key {name}",
                    fails("weak_key", op="aznet.dial", id=session.id, e=session.e.hex(), profile="nk", rs=key.hex()),
                    hardened=True)


def near_weak(out):
    """Encodings that lists of low-order points name too, which after masking are not of low order."""
    for value, name in ((2 * model.P - 1, "2p-1"), (2 * model.P, "2p"), (2 * model.P + 1, "2p+1")):
        key = value.to_bytes(32, "little")
        session = Session(f"near {name}", "nn")
        msg1, state = session.first(e_public=key)
        msg2, keys = model.second("nn", state, session.r, key, TOKENS.encode())
        out.add(f"{name} as a key is not of low order here: the top bit is masked",
                session.accept({"id": session.id, "msg2": msg2.hex(), **keys}, msg1))


def mixed(out):
    sessions = {profile: Session("mixed", profile) for profile in PROFILES}
    for here in PROFILES:
        for there in PROFILES:
            if here == there:
                continue
            hardened = here != "nn"
            msg1, msg2, _ = sessions[there].both(SHORT.encode())
            own = sessions[here].both(SHORT.encode())[0]
            out.add(f"{there} message 1 at a {here} listener",
                    sessions[here].refuse("name" if here == "nn" else "auth", msg1), hardened=hardened)
            out.add(f"{there} message 2 at a {here} dialer", sessions[here].dial(own), finish(no("auth"), msg2),
                    hardened=hardened)
    psk = sessions["nnpsk0"]
    wrong = Session("mixed", "nnpsk0")
    wrong.psk = bytes([psk.psk[0] ^ 1]) + psk.psk[1:]
    msg1, msg2, _ = psk.both(SHORT.encode())
    out.add("nnpsk0: the listener's secret differs in one bit", wrong.refuse("auth", msg1), hardened=True)
    out.add("nnpsk0: the dialer's secret differs in one bit", wrong.dial(wrong.first()[0]),
            finish(no("auth"), msg2), hardened=True)
    nk, stranger = sessions["nk"], Session("stranger", "nk")
    out.add("nk: message 1 for another listener", stranger.refuse("auth", nk.first()[0]), hardened=True)
    msg1, state = nk.first()
    forged, _ = model.second("nk", stranger.first()[1], stranger.r, msg1[:32], SHORT.encode())
    out.add("nk: message 2 by who does not hold the static key", nk.dial(msg1), finish(no("auth"), forged), hardened=True)
    for profile in PROFILES:
        session = sessions[profile]
        msg1, msg2, keys = session.both(SHORT.encode())
        out.add(f"{profile}: message 1 sent back as message 2", session.dial(msg1), finish(no("auth"), msg1 + bytes(16)
                if profile == "nn" else msg1), hardened=profile != "nn")
        out.add(f"{profile}: after a failed finish the handle is spent", session.dial(msg1),
                finish(no("auth"), msg2[:-1] + bytes([msg2[-1] ^ 1])), finish(no("state"), msg2),
                hardened=profile != "nn")
        other = Session("mixed again", profile)
        out.add(f"{profile}: message 2 for another dialer", session.dial(msg1),
                finish(no("auth"), other.both(SHORT.encode())[1]), hardened=profile != "nn")


def tampered(out):
    """NN authenticates nobody: the listener takes an altered message 1, and the dialer notices."""
    session = Session("tampered", "nn")
    msg1, _, _ = session.both(SHORT.encode())
    other = msg1[:32] + an_id("tampered other").encode()
    for comment, altered, id_ in (
        ("another id in message 1", other, other[32:].decode()),
        ("a bit of message 1's key flipped", bytes([msg1[0] ^ 4]) + msg1[1:], session.id),
        ("the top bit of message 1's key flipped, which changes no secret", msg1[:31] + bytes([msg1[31] ^ 128]) + msg1[32:],
         session.id),
    ):
        out.add(comment + ": the dialer notices", session.dial(msg1),
                {**session.accept({"id": id_}, altered, SHORT), "bind": {"m2": "msg2"}},
                step(no("auth"), op="aznet.finish", handle="$h", msg2="$m2"))


def carried(out, profile):
    """The keys that a handshake gave, in use: families 27 to 30."""
    session = Session(f"carried {profile}", profile)
    msg1, msg2, keys = session.both(SHORT.encode())
    i2r, r2i = bytes.fromhex(keys["i2r"]), bytes.fromhex(keys["r2i"])

    def wire(key, n, plain):
        sealed = model.seal(key, n, plain)
        return (len(sealed).to_bytes(4, "big") + sealed).hex()

    def opened(expect, key, n, data):
        return step(expect, op="aznet.chunk.open", key=key, n=n, wire=data, limit=4_194_304)

    begin = (session.dial(msg1), {**finish({}, msg2), "bind": {"i": "i2r", "r": "r2i"}})
    ping, data = b"\0\0\0\0\1", b"\0\0\0\1\0x"
    hardened = profile != "nn"
    out.add(f"{profile}: chunks under the keys of the handshake", *begin,
            step({"wire": wire(i2r, 0, ping)}, op="aznet.chunk.seal", key="$i", n=0, plain=ping.hex(), limit=4_194_304),
            opened({"plain": data.hex()}, "$r", 0, wire(r2i, 0, data)),
            opened({"plain": data.hex()}, "$i", 1, wire(i2r, 1, data)), hardened=hardened)
    out.add(f"{profile}: a chunk of one's own, reflected", *begin, opened(no("auth"), "$r", 0, wire(i2r, 0, ping)),
            hardened=hardened)
    out.add(f"{profile}: a chunk replayed", *begin, opened({"plain": data.hex()}, "$r", 0, wire(r2i, 0, data)),
            opened(no("auth"), "$r", 1, wire(r2i, 0, data)), hardened=hardened)
    out.add(f"{profile}: a chunk dropped", *begin, opened(no("auth"), "$r", 0, wire(r2i, 1, data)), hardened=hardened)
    other = Session(f"carried other {profile}", profile).both(SHORT.encode())[2]
    out.add(f"{profile}: a chunk of another session", *begin,
            opened(no("auth"), "$r", 0, wire(bytes.fromhex(other["r2i"]), 0, data)), hardened=hardened)


def handshakes(peer):
    out = File("aznet", "handshake-edges", [
        "positive cases are made with noiseprotocol 0.3.1 and confirmed by flynn/noise",
        "the messages with low-order keys are authentic under the all-zero secret that such a key gives, so that only a check of the key refuses them",
        "rule or unconfirmed: flynn/noise is laxer, or the wire page sets the rule",
    ], peer, "noiseprotocol 0.3.1")
    for profile in PROFILES:
        for size in (0, 1, 13, 14, 15, 16, 17, 100, 700):
            sas = "sp=a&sig=" + draw(f"sas {size}", size).hex()[:size]
            tokens = json.dumps({"req": sas, "res": sas[::-1]}, separators=(",", ":"))
            whole(out, Session(f"whole {profile} {size}", profile), tokens)
    for profile in PROFILES:
        session = Session(f"ids {profile}", profile)
        for name, text in bad_ids(f"ids {profile}"):
            out.add(f"{profile}: connection id: {name}", session.refuse("name", session.first(text)[0]),
                    hardened=profile != "nn")
    for profile in PROFILES:
        lengths(out, profile)
        flips(out, profile)
        weak(out, profile)
    near_weak(out)
    mixed(out)
    tampered(out)
    for profile in PROFILES:
        carried(out, profile)
    out.write()


GOOD_TOKENS = [
    ("white space everywhere", ' {\t"req" :\n"a",\r "res": "b" } ', "a", "b"),
    ("the other order", '{"res":"b","req":"a"}', "a", "b"),
    ("escaped ampersand", '{"req":"a\\u0026b","res":"\\u0026"}', "a&b", "&"),
    ("escapes in the keys", '{"\\u0072eq":"a","re\\u0073":"b"}', "a", "b"),
    ("every short escape", '{"req":"\\"\\\\\\/\\b\\f\\n\\r\\t","res":"b"}', '"\\/\b\f\n\r\t', "b"),
    ("a surrogate pair", '{"req":"\\ud83d\\ude00","res":"b"}', "\U0001f600", "b"),
    ("UTF-8 as it is", '{"req":"\u00e9\u20ac\U0001f600","res":"b"}', "\u00e9\u20ac\U0001f600", "b"),
    ("empty texts", '{"req":"","res":""}', "", ""),
    ("an unknown key with a number", '{"req":"a","v":1e5,"res":"b"}', "a", "b"),
    ("unknown keys with nested values", '{"x":{"req":"z","y":[1,{"res":null}]},"req":"a","res":"b","w":[]}', "a", "b"),
    ("an unknown key twice", '{"x":1,"x":2,"req":"a","res":"b"}', "a", "b"),
    ("unknown keys with true, false and null", '{"t":true,"f":false,"n":null,"req":"a","res":"b"}', "a", "b"),
    ("an unknown key that is empty", '{"":"z","req":"a","res":"b"}', "a", "b"),
    ("DEL, which JSON leaves alone", '{"req":"\x7f","res":"b"}', "\x7f", "b"),
    ("numbers of all forms beside", '{"n":[0,-0,1.5,-1.5e+10,1E-3],"req":"a","res":"b"}', "a", "b"),
]

BAD_TOKENS = [
    ("nothing", b""),
    ("white space only", b" \n"),
    ("null", b"null"),
    ("a list", b'["a","b"]'),
    ("a text", b'"req"'),
    ("a number", b"7"),
    ("an empty object", b"{}"),
    ("res missing", b'{"req":"a"}'),
    ("req missing", b'{"res":"b"}'),
    ("req twice, alike", b'{"req":"a","req":"a","res":"b"}'),
    ("res twice", b'{"req":"a","res":"b","res":"c"}'),
    ("req twice, once with an escaped key", b'{"req":"a","\\u0072eq":"a","res":"b"}'),
    ("keys in capitals", b'{"REQ":"a","RES":"b"}'),
    ("one key with a capital", b'{"Req":"a","res":"b"}'),
    ("req is null", b'{"req":null,"res":"b"}'),
    ("res is null", b'{"req":"a","res":null}'),
    ("req is a number", b'{"req":1,"res":"b"}'),
    ("req is true", b'{"req":true,"res":"b"}'),
    ("req is a list", b'{"req":["a"],"res":"b"}'),
    ("req is an object", b'{"req":{},"res":"b"}'),
    ("two objects", b'{"req":"a","res":"b"}{}'),
    ("text after the object", b'{"req":"a","res":"b"}x'),
    ("NUL after the object", b'{"req":"a","res":"b"}\0'),
    ("the last brace missing", b'{"req":"a","res":"b"'),
    ("the last quote missing", b'{"req":"a","res":"b}'),
    ("a comma too many", b'{"req":"a","res":"b",}'),
    ("a comma missing", b'{"req":"a" "res":"b"}'),
    ("a colon missing", b'{"req" "a","res":"b"}'),
    ("keys without quotes", b'{req:"a",res:"b"}'),
    ("single quotes", b"{'req':'a','res':'b'}"),
    ("a comment", b'{"req":"a",/**/"res":"b"}'),
    ("a line feed in a text", b'{"req":"a\nb","res":"b"}'),
    ("NUL in a text", b'{"req":"a\0b","res":"b"}'),
    ("an unknown escape", b'{"req":"\\x61","res":"b"}'),
    ("an escape cut short", b'{"req":"\\u00","res":"b"}'),
    ("an escape with a letter that is no digit", b'{"req":"\\u00g0","res":"b"}'),
    ("a byte order mark first", b'\xef\xbb\xbf{"req":"a","res":"b"}'),
    ("not UTF-8 in a text", b'{"req":"\xff","res":"b"}'),
    ("overlong UTF-8", b'{"req":"\xc0\xa6","res":"b"}'),
    ("an encoded surrogate", b'{"req":"\xed\xa0\x80","res":"b"}'),
    ("a lone high surrogate escaped", b'{"req":"\\ud83d","res":"b"}'),
    ("a lone low surrogate escaped", b'{"req":"\\ude00","res":"b"}'),
    ("an unknown value that is no JSON", b'{"req":"a","res":"b","x":nul}'),
    ("a number with a leading zero", b'{"req":"a","res":"b","x":01}'),
    ("a number without digits", b'{"req":"a","res":"b","x":-}'),
    ("a number that ends with a point", b'{"req":"a","res":"b","x":1.}'),
    ("brackets that do not match", b'{"req":"a","res":"b","x":[}]'),
    ("vertical tab as white space", b'{"req":"a",\x0b"res":"b"}'),
    ("lists 100,000 deep and never closed", None),
]


def tokens(peer):
    out = File("aznet", "tokens", [
        "what a dialer takes for the payload of message 2; the listener side hands on its text unread",
        "cases that the standard library of Go refuses name it; those it takes (a key twice or in capitals, null) are refused by the wire page's rule",
    ], peer)
    session = Session("tokens", "nn")
    for name, text, req, res in GOOD_TOKENS:
        msg1, msg2, keys = session.both(text.encode())
        out.add(name, session.dial(msg1), session.accept({"msg2": msg2.hex(), **keys}, msg1, text),
                finish({"req": req, "res": res, **keys}, msg2))
    # What Go takes; a lone surrogate becomes U+FFFD there, and would silently change a SAS.
    lax = {
        "keys in capitals", "one key with a capital", "a lone high surrogate escaped", "a lone low surrogate escaped",
    }
    for name, text in BAD_TOKENS:
        if text is None:
            text = b'{"req":"a","res":"b","x":' + b"[" * 60_000
            name = "lists 60,000 deep and never closed"
        msg1, msg2, _ = session.both(text)
        out.add(name, session.dial(msg1), finish(no("encoding"), msg2), rule=name in lax)
    out.write()
