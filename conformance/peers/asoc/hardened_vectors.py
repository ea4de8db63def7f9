"""Writes conformance/vectors/asoc/hardened.json: the hardened profile, good and bad.

Made by hardened_profile.py, which is written from the book's page alone, and compared with our own
code by the tests, which ask both. No outside implementation of this profile exists, so the cases
are marked unconfirmed. What is random is drawn from fixed labels: a second run changes nothing.
Usage, from the root of the checkout: python3 conformance/peers/asoc/hardened_vectors.py
"""

import hashlib
import json
import struct
from pathlib import Path
from uuid import UUID

import hardened_profile as profile
from hardened_profile import (
    ACCEPT,
    CONTROL,
    DATA,
    DATA_LIMIT,
    END,
    HELLO,
    PROOF,
    TAG,
    Direction,
    Session,
    Settings,
    direction_keys,
    header,
    hello_payload,
    key_id,
    mac,
    mac_key,
    proof_payload,
    public_key,
    shared_secret,
    transcript,
)

OUT = Path(__file__).resolve().parents[2] / "vectors" / "asoc" / "hardened.json"
KEY = "4f1d3c5a7b9e8d2c6a0f4f1d3c5a7b9e8d2c6a0f4f1d3c5a7b9e8d2c6a0f1234"
NEXT = "Schlüssel für das nächste Jahr, lang genug"
OTHER = "another key of this length, never used"
CLIENT = UUID("8c1bc277-fd35-402a-9b61-887f82a51352")
SERVER = UUID("4e72e1bf-d6da-40ec-9f00-03f963d0cb2f")
COMMUNITY = "Gemeinschaft-ü"
NOW = 1_745_907_858
MAX = 4096
# Each order-1, 2, 4 or 8 point of the curve and its twist that fits in 255 bits.
LOW_ORDER = [
    "00" * 32,
    "01" + "00" * 31,
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ec" + "ff" * 30 + "7f",
    "ed" + "ff" * 30 + "7f",
    "ee" + "ff" * 30 + "7f",
]

tests = []


def drawn(label, size=32):
    return hashlib.shake_256(label.encode()).digest(size)


def add(comment, *steps, negative=False):
    tests.append({
        "id": f"asoc-hardened-{len(tests) + 1:04}",
        "comment": comment,
        "flags": ["negative" if negative else "positive", "unconfirmed"],
        "profile": "hardened",
        "steps": list(steps),
    })


def bad(comment, *steps):
    add(comment, *steps, negative=True)


def step(op, expect, bind=None, **ask):
    made = {"do": {"op": op, **ask}, "expect": expect}
    if bind:
        made["bind"] = bind
    return made


def no(kind):
    return {"error": {"class": kind}}


class Pair:
    """A client and a server with what is random fixed, run step by step."""

    def __init__(self, suite=1, label="", keys=(KEY,), client_keys=(KEY,), at=NOW):
        self.suite, self.at = suite, at
        self.random = {
            side: (drawn(f"{side} nonce {suite} {label}"), drawn(f"{side} esk {suite} {label}"))
            for side in ("client", "server")
        }
        self.keys = {"client": list(client_keys), "server": list(keys)}
        client = Settings(self.keys["client"], COMMUNITY, CLIENT, suite, MAX)
        server = Settings(self.keys["server"], COMMUNITY, SERVER, max_frame=MAX)
        self.client = Session(client, False, at, *self.random["client"])
        self.server = Session(server, True, at, *self.random["server"])
        self.hello = self.client.taken()

    def shake(self):
        list(self.server.feed(self.hello, self.at))
        self.accept = self.server.taken()
        list(self.client.feed(self.accept, self.at))
        self.proof = self.client.taken()
        list(self.server.feed(self.proof, self.at))
        return self

    def begin(self, role, handle="h", **more):
        """The step that makes one end."""
        nonce, esk = self.random[role]
        ask = {
            "role": role,
            "profile": "hardened",
            "uuid": str(CLIENT if role == "client" else SERVER),
            "community": COMMUNITY,
            "nonce": nonce.hex(),
            "esk": esk.hex(),
            "unix_s": self.at,
            "max_frame": MAX,
        }
        keys = self.keys[role]
        ask |= {"key": keys[0]} if len(keys) == 1 else {"keys": keys}
        if role == "client":
            ask["suite"] = self.suite
        ask |= more
        out = self.hello.hex() if role == "client" and "suite" not in more else None
        expect = {"out": out if out is not None else ""} if out is not None or role == "server" else {}
        return step("asoc.session", expect, bind={handle: "handle"}, **ask)

    def up(self, role, **more):
        """The steps that bring one end through the handshake."""
        steps = [self.begin(role, **more)]
        if role == "client":
            steps.append(heard(self.accept, out=self.proof, events=[self.known("client")]))
        else:
            steps.append(heard(self.hello, out=self.accept))
            steps.append(heard(self.proof, events=[self.known("server")]))
        return steps

    def known(self, role):
        """What one end tells of the other."""
        peer = SERVER if role == "client" else CLIENT
        token = self.random["server"][0][:8]
        return {"event": "established", "peer": str(peer), "token": token.hex()}

    def secret(self):
        return shared_secret(self.random["client"][1], public_key(self.random["server"][1]))


def heard(data, out=b"", events=(), handle="$h"):
    expect = {"out": out.hex(), "events": list(events)}
    return step("asoc.input", expect, handle=handle, bytes=data.hex())


def refused(data, kind, handle="$h"):
    """A refusal is final: whatever comes afterwards is `state`."""
    return [
        step("asoc.input", no(kind), handle=handle, bytes=data.hex()),
        step("asoc.input", no("state"), handle=handle, bytes=""),
    ]


def flip(data, bit):
    out = bytearray(data)
    out[bit // 8] ^= 1 << (bit % 8)
    return bytes(out)


def bits(data, since=14):
    """One bit of each byte from `since` on, another one in the next."""
    return [at * 8 + at % 8 for at in range(since, len(data))]


def framed(kind, payload, stream=0, sequence=0):
    return header(kind, stream, sequence, len(payload)) + payload


def schedule():
    for suite in (1, 2):
        pair = Pair(suite, "schedule").shake()
        k = mac_key(KEY, COMMUNITY)
        hello, accept = pair.hello[14:], pair.accept[14:]
        c2s, s2c = direction_keys(k, hello, accept, pair.secret())
        expect = {
            "mac": k.hex(),
            "transcript": transcript(hello, accept).hex(),
            "proof": proof_payload(k, hello, accept).hex(),
            "c2s": c2s.hex(),
            "s2c": s2c.hex(),
        }
        ask = {
            "key": KEY,
            "community": COMMUNITY,
            "hello": hello.hex(),
            "accept": accept.hex(),
            "shared": pair.secret().hex(),
        }
        add(f"the key schedule of a handshake with suite {suite}",
            step("asoc.hardened.keys", expect, **ask))
    for community in ("", "x" * 300):
        k = mac_key(KEY, community)
        c2s, s2c = direction_keys(k, hello, accept, pair.secret())
        add(f"a community of {len(community)} characters",
            step("asoc.hardened.keys", {"mac": k.hex(), "c2s": c2s.hex(), "s2c": s2c.hex()},
                 **(ask | {"community": community})))
    key = "k" * 65
    k = mac_key(key, COMMUNITY)
    add("an API key longer than a block of SHA-256",
        step("asoc.hardened.keys", {"mac": k.hex()}, **(ask | {"key": key})))
    for name in ("hello", "accept", "shared"):
        bad(f"{name} one byte short",
            step("asoc.hardened.keys", no("length"), **(ask | {name: ask[name][2:]})))


def frames():
    for suite in (1, 2):
        key = drawn(f"frame key {suite}")
        ask = {"suite": suite, "key": key.hex()}
        cases = [
            ("an empty CONTROL frame, which is a keep-alive", CONTROL, 0, 0, 0, b""),
            ("an END frame", END, 1, 1, 1, b""),
            ("a DATA frame", DATA, 1, 0, 0, b"hello"),
            ("a frame of an unknown type, largest numbers", 255, 2**32 - 1, 2**32 - 1, 7, b"x" * 33),
            ("number 256", DATA, 3, 9, 256, bytes(range(64))),
            ("number 2^32", DATA, 2, 5, 2**32, drawn("body", 300)),
            ("number 2^53 + 1", DATA, 2, 5, 2**53 + 1, b"y"),
            ("number 2^64 - 2, the last one", DATA, 2, 5, 2**64 - 2, b"z"),
        ]
        for comment, kind, stream, sequence, number, plain in cases:
            wire = Direction(suite, key, number).seal(kind, stream, sequence, plain)
            n = number if number < 2**53 else str(number)
            about = {"type": kind, "stream": stream, "seq": sequence, "plain": plain.hex()}
            add(f"suite {suite}: {comment}",
                step("asoc.hardened.seal", {"wire": wire.hex()}, **ask, n=n, **about),
                step("asoc.hardened.open", about, **ask, n=n, wire=wire.hex()))
        wire = Direction(suite, key, 5).seal(DATA, 7, 2, b"body")
        opened = {**ask, "n": 5}
        for bit in [1 * 8, 5 * 8, 9 * 8 + 3, *bits(wire)]:
            bad(f"suite {suite}: bit {bit} of a frame flipped",
                step("asoc.hardened.open", no("auth"), **opened, wire=flip(wire, bit).hex()))
        for n, comment in ((4, "one less"), (6, "one more"), (5 << 8, "little-endian in another byte")):
            bad(f"suite {suite}: a frame under {comment} as its number",
                step("asoc.hardened.open", no("auth"), **{**ask, "n": n}, wire=wire.hex()))
        bad(f"suite {suite}: under the key of the other suite",
            step("asoc.hardened.open", no("auth"), **{**opened, "suite": 3 - suite}, wire=wire.hex()))
        bad(f"suite {suite}: the length in the header is that of the plaintext",
            step("asoc.hardened.open", no("length"), **opened,
                 wire=(header(DATA, 7, 2, 4) + wire[14:]).hex()))
        sealed = profile.SUITES[suite](key).encrypt(
            bytes(4) + struct.pack(">Q", 5), b"body", header(DATA, 7, 2, 4))
        bad(f"suite {suite}: sealed with a header that has the plaintext's length",
            step("asoc.hardened.open", no("auth"), **opened,
                 wire=(header(DATA, 7, 2, 20) + sealed).hex()))
        sealed = profile.SUITES[suite](key).encrypt(
            struct.pack("<Q", 5) + bytes(4), b"body", header(DATA, 7, 2, 20))
        bad(f"suite {suite}: a little-endian number in front of the nonce",
            step("asoc.hardened.open", no("auth"), **opened,
                 wire=(header(DATA, 7, 2, 20) + sealed).hex()))
        for cut in (1, 14, 15, len(wire) - 1):
            bad(f"suite {suite}: the first {cut} bytes of a frame",
                step("asoc.hardened.open", no("truncated"), **opened, wire=wire[:cut].hex()))
        bad(f"suite {suite}: a byte behind the frame",
            step("asoc.hardened.open", no("length"), **opened, wire=(wire + b"\0").hex()))
        bad(f"suite {suite}: a payload one byte shorter than a tag",
            step("asoc.hardened.open", no("length"), **opened,
                 wire=(header(DATA, 7, 2, 15) + bytes(15)).hex()))
        about = {"type": DATA, "stream": 1, "seq": 0}
        room = DATA_LIMIT - TAG - 4
        full = Direction(suite, key, 9, room).seal(DATA, 1, 0, b"four")
        add(f"suite {suite}: the last 20 bytes that the key may seal",
            step("asoc.hardened.seal", {"wire": full.hex()},
                 **ask, n=9, used=room, plain=b"four".hex(), **about),
            step("asoc.hardened.open", {"plain": b"four".hex()},
                 **ask, n=9, used=room, wire=full.hex()))
        bad(f"suite {suite}: one byte more than the key may seal",
            step("asoc.hardened.seal", no("data_limit"),
                 **ask, n=9, used=room + 1, plain=b"four".hex(), **about),
            step("asoc.hardened.open", no("data_limit"),
                 **ask, n=9, used=room + 1, wire=full.hex()))
        bad(f"suite {suite}: number 2^64 - 1 is never used",
            step("asoc.hardened.seal", no("nonce_limit"),
                 **ask, n=str(2**64 - 1), plain="", **about))
    for suite in (0, 3, 255):
        bad(f"suite {suite} does not exist",
            step("asoc.hardened.seal", no("type"), suite=suite, key=key.hex(), n=0, plain="",
                 **about))


def handshakes():
    for suite in (1, 2):
        pair = Pair(suite, "handshake").shake()
        add(f"client, suite {suite}: HELLO, ACCEPT, PROOF", *pair.up("client"))
        add(f"server, suite {suite}: HELLO, ACCEPT, PROOF", *pair.up("server"))
        add(f"suite {suite}: both ends against each other",
            pair.begin("client", "c"), pair.begin("server", "s"),
            heard(pair.hello, pair.accept, handle="$s"),
            heard(pair.accept, pair.proof, [pair.known("client")], handle="$c"),
            heard(pair.proof, events=[pair.known("server")], handle="$s"))
    pair = Pair(1, "handshake").shake()
    pieces = [heard(pair.hello[at : at + 1]) for at in range(len(pair.hello) - 1)]
    add("HELLO byte by byte", pair.begin("server"), *pieces,
        heard(pair.hello[-1:], out=pair.accept))
    tolerated = header(HELLO, 7, 9, 121) + pair.hello[14:]
    add("stream and sequence of HELLO are not looked at", pair.begin("server"),
        heard(tolerated, out=pair.accept))
    tolerated = header(ACCEPT, 1, 2**32 - 1, 120) + pair.accept[14:]
    add("stream and sequence of ACCEPT are not looked at", pair.begin("client"),
        heard(tolerated, out=pair.proof, events=[pair.known("client")]))
    for off in (-60, 60):
        add(f"a HELLO whose time is {off:+} s off is taken", pair.begin("server", unix_s=NOW - off),
            step("asoc.input", {"events": []}, handle="$h", bytes=pair.hello.hex()))
        add(f"an ACCEPT whose time is {off:+} s off is taken",
            pair.begin("client"), heard(*answered(pair, NOW + off), [pair.known("client")]))
    rotated = Pair(1, "rotated", keys=(KEY, NEXT), client_keys=(NEXT,)).shake()
    add("a server with two keys answers under the one of the HELLO", *rotated.up("server"))
    rotated = Pair(1, "rotated old", keys=(NEXT, KEY)).shake()
    add("and still takes the old one", *rotated.up("server"))
    early = pair.client.sending.seal(CONTROL, 0, 0)
    add("sealed frames may follow PROOF in the same bytes", pair.begin("server"),
        heard(pair.hello, out=pair.accept),
        heard(pair.proof + early, events=[pair.known("server")]))


def answered(pair, at, uuid=SERVER, key=KEY, hello=None, public=None):
    """An ACCEPT of our making, and the PROOF that answers it."""
    k = mac_key(key, COMMUNITY)
    nonce, esk = pair.random["server"]
    said = pair.hello[14:] if hello is None else hello
    payload = profile.accept_payload(k, said, uuid, at, nonce, public or public_key(esk))
    proof = framed(PROOF, proof_payload(mac_key(KEY, COMMUNITY), pair.hello[14:], payload))
    return framed(ACCEPT, payload), proof


def bad_hellos():
    pair = Pair(1, "bad hello").shake()
    begin = pair.begin("server")
    for bit in bits(pair.hello):
        bad(f"bit {bit} of a HELLO flipped", begin, *refused(flip(pair.hello, bit), "auth"))
    nonce, esk = pair.random["client"]
    k = mac_key(KEY, COMMUNITY)

    def made(suite=1, uuid=CLIENT, at=NOW, public=None, k=k):
        return framed(HELLO, hello_payload(k, suite, uuid, at, nonce, public or public_key(esk)))

    bad("under another key", begin, *refused(made(k=mac_key(OTHER, COMMUNITY)), "auth"))
    bad("under the key in another community", begin, *refused(made(k=mac_key(KEY, "other")), "auth"))
    bad("under the API key itself instead of K", begin, *refused(made(k=KEY.encode()), "auth"))
    raw = hashlib.sha256(COMMUNITY.encode()).digest()[:8]
    short = profile.derive(raw, KEY.encode(), "stillwire asoc hardened 1 mac")
    bad("the community's hash cut to 8 bytes", begin, *refused(made(k=short), "auth"))
    head = made()[14 : 14 + 89]
    bad("a MAC without its label", begin, *refused(framed(HELLO, head + mac(k, b"", head)), "auth"))
    bad("with the label of ACCEPT", begin,
        *refused(framed(HELLO, head + mac(k, b"accept", head)), "auth"))
    bad("our own UUID", begin, *refused(made(uuid=SERVER), "identity"))
    for off, kind in ((-61, "stale"), (61, "future")):
        bad(f"a time {off:+} s off", begin, *refused(made(at=NOW + off), kind))
    bad("time 0", begin, *refused(made(at=0), "stale"))
    bad("time 2^64 - 1", begin, *refused(made(at=2**64 - 1), "future"))
    for suite in (0, 3, 255):
        bad(f"suite {suite}", begin, *refused(made(suite=suite), "type"))
    for index, point in enumerate(LOW_ORDER):
        share = bytes.fromhex(point)
        bad(f"key share of low order {index + 1}", begin, *refused(made(public=share), "weak_key"))
    for size in (0, 36, 120, 122, 2**32 - 1):
        bad(f"a HELLO of {size} bytes, on its header alone", begin,
            *refused(header(HELLO, 0, 0, size), "length"))
    for version in (0, 2, 0x11, 255):
        bad(f"version {version}", begin, *refused(bytes([version]) + pair.hello[1:], "version"))
    seen = step("asoc.seen.new", {}, bind={"seen": "handle"}, capacity=10, ttl_s=300)
    again = pair.begin("server", "again", seen="$seen")
    bad("attack: replayed HELLO", seen, pair.begin("server", seen="$seen"),
        heard(pair.hello, out=pair.accept), again, *refused(pair.hello, "replay", "$again"))
    late = pair.begin("server", "again", seen="$seen", unix_s=NOW + 61)
    bad("attack: replayed HELLO, later: its time is judged first", seen,
        pair.begin("server", seen="$seen"), heard(pair.hello, out=pair.accept), late,
        *refused(pair.hello, "stale", "$again"))
    first(begin, HELLO)
    bad("attack: replayed HELLO to a server that has not seen it: without PROOF nothing opens",
        begin, heard(pair.hello, out=pair.accept),
        *refused(pair.client.sending.seal(DATA, 1, 0, b"x"), "state"))


def first(begin, awaited):
    """Frames that may not come first, for a role that awaits one."""
    who = "server" if awaited == HELLO else "client"
    for kind, name in ((4, "HELLO"), (5, "ACCEPT")):
        bad(f"{who}: attack: downgrade, {name} of the default profile", begin,
            *refused(header(kind, 0, 0, 36 if kind == 4 else 16), "downgrade"))
    for kind in (1, 2, 3, 16, 17, 18):
        if kind != awaited:
            bad(f"{who}: type {kind} first", begin, *refused(header(kind, 0, 0, 0), "state"))
    for kind in (0, 6, 15, 19, 255):
        bad(f"{who}: unknown type {kind} first", begin, *refused(header(kind, 0, 0, 0), "type"))


def bad_accepts():
    pair = Pair(1, "bad accept").shake()
    begin = pair.begin("client")
    for bit in bits(pair.accept):
        bad(f"bit {bit} of an ACCEPT flipped", begin, *refused(flip(pair.accept, bit), "auth"))
    other = Pair(1, "another handshake").shake()
    bad("attack: replayed ACCEPT, of another handshake", begin, *refused(other.accept, "auth"))
    bad("attack: replayed ACCEPT, of the other suite", Pair(2, "bad accept").begin("client"),
        *refused(pair.accept, "auth"))
    bad("attack: reflection, our own HELLO", begin, *refused(pair.hello, "state"))
    bad("our own UUID", begin, *refused(answered(pair, NOW, uuid=CLIENT)[0], "identity"))
    bad("under another key", begin, *refused(answered(pair, NOW, key=OTHER)[0], "auth"))
    bad("over a HELLO with its header", begin,
        *refused(answered(pair, NOW, hello=pair.hello)[0], "auth"))
    for off, kind in ((-61, "stale"), (61, "future")):
        bad(f"a time {off:+} s off", begin, *refused(answered(pair, NOW + off)[0], kind))
    for index, point in enumerate(LOW_ORDER):
        share = bytes.fromhex(point)
        bad(f"key share of low order {index + 1}", begin,
            *refused(answered(pair, NOW, public=share)[0], "weak_key"))
    for size in (0, 16, 119, 121, 2**32 - 1):
        bad(f"an ACCEPT of {size} bytes, on its header alone", begin,
            *refused(header(ACCEPT, 0, 0, size), "length"))
    first(begin, ACCEPT)


def bad_proofs():
    pair = Pair(1, "bad proof").shake()
    begin = [pair.begin("server"), heard(pair.hello, out=pair.accept)]
    for bit in bits(pair.proof):
        bad(f"bit {bit} of a PROOF flipped", *begin, *refused(flip(pair.proof, bit), "auth"))
    other = Pair(1, "another proof").shake()
    bad("attack: splice, a PROOF of another handshake", *begin, *refused(other.proof, "auth"))
    for size in (0, 31, 33, 2**32 - 1):
        bad(f"a PROOF of {size} bytes, on its header alone", *begin,
            *refused(header(PROOF, 0, 0, size), "length"))
    bad("a second HELLO instead", *begin, *refused(pair.hello, "state"))
    bad("attack: downgrade before PROOF", *begin, *refused(header(4, 0, 0, 36), "downgrade"))
    bad("an unknown type before PROOF", *begin, *refused(header(99, 0, 0, 0), "type"))


def written(pair, plain=b"", ended=True):
    """Steps in which the end `h` opens a stream; what it sends is that of `pair.client`."""
    stream = pair.client.open_stream()
    steps = [step("asoc.open", {"out": "", "stream": stream}, handle="$h")]
    pair.client.write(stream, plain)
    steps.append(step("asoc.write", {"out": pair.client.taken().hex()},
                      handle="$h", stream=stream, plain=plain.hex()))
    if ended:
        pair.client.end(stream)
        steps.append(step("asoc.end", {"out": pair.client.taken().hex()}, handle="$h", stream=stream))
    return steps


def streams():
    for suite in (1, 2):
        pair = Pair(suite, "streams").shake()
        steps = pair.up("client")
        for plain in (b"x", b"", drawn("long", 2 * MAX + 5)):
            steps += written(pair, plain)
        add(f"suite {suite}: streams of a client, cut at max_frame", *steps)
        pair = Pair(suite, "streams").shake()
        seal = pair.client.sending.seal
        wire = [
            (seal(DATA, 1, 0, b"one"), [data(1, b"one")]),
            (seal(CONTROL, 0, 0), []),
            (seal(DATA, 4, 0, b""), [data(4, b"")]),
            (seal(77, 9, 9, b"what may come one day"), []),
            (seal(CONTROL, 5, 5, b"\x07 unknown"), []),
            (seal(END, 1, 1), [{"event": "end", "stream": 1}]),
            (seal(DATA, 4, 1, b"four"), [data(4, b"four")]),
            (seal(END, 4, 2), [{"event": "end", "stream": 4}]),
            (seal(END, 2**32 - 1, 0), [{"event": "end", "stream": 2**32 - 1}]),
            (seal(DATA, 3, 0, b"y" * MAX), [data(3, b"y" * MAX)]),
        ]
        add(f"suite {suite}: a server receives two streams interleaved, and what it ignores",
            *pair.up("server"), *(heard(frame, events=events) for frame, events in wire))
        all_events = [event for _, events in wire for event in events]
        add(f"suite {suite}: the same at once", *pair.up("server"),
            heard(b"".join(frame for frame, _ in wire), events=all_events))
    pair = Pair(1, "clock").shake()
    seal = pair.client.sending.seal
    keep_alive = [seal(CONTROL, 0, 0).hex() for _ in range(2)]
    add("a sealed keep-alive every 10 s", *pair.up("client"),
        step("asoc.tick", {"out": "", "events": []}, handle="$h", now_ms=9_999),
        step("asoc.tick", {"out": keep_alive[0], "events": []}, handle="$h", now_ms=10_000),
        step("asoc.tick", {"out": keep_alive[1], "events": []}, handle="$h", now_ms=20_000))
    late = {"events": [{"event": "closed", "reason": "timeout"}]}
    for role in ("client", "server"):
        bad(f"{role}: 10 s without a handshake", pair.begin(role),
            step("asoc.tick", late, handle="$h", now_ms=10_000),
            step("asoc.input", no("state"), handle="$h", bytes=""))
    bad("server: 10 s without PROOF", pair.begin("server"), heard(pair.hello, out=pair.accept),
        step("asoc.tick", {"out": "", "events": []}, handle="$h", now_ms=9_999),
        step("asoc.tick", late, handle="$h", now_ms=10_000))


def data(stream, plain):
    return {"event": "data", "stream": stream, "bytes": plain.hex()}


def bad_streams():
    def case(comment, kind, make, label="bad streams", good=()):
        pair = Pair(1, label).shake()
        seal = pair.client.sending.seal
        steps = [heard(seal(*frame), events=events) for frame, events in good]
        bad(comment, *pair.up("server"), *steps, *refused(make(pair, seal), kind))

    begun = [((DATA, 1, 0, b"a"), [data(1, b"a")])]
    ended = [*begun, ((END, 1, 1), [{"event": "end", "stream": 1}])]
    case("a stream that begins at sequence 1", "state", lambda _, seal: seal(DATA, 1, 1, b"a"))
    case("a gap", "state", lambda _, seal: seal(DATA, 1, 2, b"a"), good=begun)
    case("a sequence that is repeated", "state", lambda _, seal: seal(DATA, 1, 0, b"a"), good=begun)
    case("END with another sequence", "state", lambda _, seal: seal(END, 1, 2), good=begun)
    case("DATA after END", "state", lambda _, seal: seal(DATA, 1, 2, b"a"), good=ended)
    case("an id used again", "state", lambda _, seal: seal(DATA, 1, 0, b"a"), good=ended)
    case("DATA on stream 0", "state", lambda _, seal: seal(DATA, 0, 0, b"a"))
    case("END on stream 0", "state", lambda _, seal: seal(END, 0, 0))
    case("END with a payload", "length", lambda _, seal: seal(END, 1, 1, b"x"), good=begun)
    for kind in (4, 5, 16, 17, 18):
        case(f"type {kind} after the handshake", "state", lambda _, seal: seal(kind, 0, 0, b""))
    for kind in (DATA, CONTROL, 99):
        case(f"type {kind} shorter than a tag, on its header alone", "length",
             lambda *_: header(kind, 1, 0, 15))
        case(f"type {kind} above max_frame, on its header alone", "limit",
             lambda *_: header(kind, 1, 0, MAX + TAG + 1))
    case("a frame in the clear", "auth",
         lambda *_: framed(DATA, b"a frame of the default profile", 1))
    case("version 2 after the handshake", "version",
         lambda _, seal: b"\x02" + seal(DATA, 1, 0, b"a")[1:])

    def skipped(_, seal):
        seal(CONTROL, 0, 0)
        return seal(DATA, 1, 0, b"a")

    case("attack: a frame is taken out", "auth", skipped)
    case("attack: reflection, sealed under the other direction's key", "auth",
         lambda pair, _: pair.server.sending.seal(DATA, 1, 0, b"a"))
    other = Pair(1, "another connection").shake().client.sending.seal(DATA, 1, 0, b"a")
    case("attack: splice, a frame of another connection", "auth", lambda *_: other)
    case("attack: relay alters a body", "auth", lambda _, seal: flip(seal(DATA, 1, 0, b"a"), 112))
    case("attack: relay turns DATA into an unknown type", "auth",
         lambda _, seal: b"\x01\x63" + seal(DATA, 1, 0, b"a")[2:])

    def repeated(pair, seal):
        kept = seal(CONTROL, 0, 0)
        list(pair.server.feed(b"", NOW))
        return kept + kept

    case("attack: a keep-alive is repeated", "auth", repeated)


def rotation():
    at = NOW + 3600
    pair = Pair(1, "rotation").shake()
    notice = key_id(NEXT)
    announce = pair.client.sending.seal(CONTROL, 0, 0, b"\x01" + notice + struct.pack(">Q", at))
    acknowledge = pair.server.sending.seal(CONTROL, 0, 0, b"\x02" + notice)
    add("a key is announced: 01, the first 8 bytes of its SHA-256, Unix seconds; sealed",
        *pair.up("client", notices=True),
        step("asoc.notify", {"out": announce.hex()},
             handle="$h", announce=notice.hex(), unix_s=at),
        heard(acknowledge, events=[{"event": "acknowledged", "key": notice.hex()}]))
    add("and acknowledged: 02 and the same 8 bytes", *pair.up("server", notices=True),
        heard(announce, events=[{"event": "announced", "key": notice.hex(), "unix_s": at}]),
        step("asoc.notify", {"out": acknowledge.hex()}, handle="$h", acknowledge=notice.hex()))
    pair = Pair(1, "rotation").shake()
    seal = pair.client.sending.seal
    odd = [b"", b"\x01", b"\x01" + bytes(15), b"\x01" + bytes(17), b"\x02" + bytes(7),
           b"\x02" + bytes(9), b"\x03" + bytes(16), b"\x01" + bytes(40)]
    add("CONTROL payloads of another length or first byte are ignored",
        *pair.up("server", notices=True), *(heard(seal(CONTROL, 0, 0, payload)) for payload in odd))
    pair = Pair(1, "rotation").shake()
    kept = pair.client.sending.seal(CONTROL, 0, 0, b"\x01" + notice + struct.pack(">Q", at))
    bad("attack: replayed rotation, in the same connection", *pair.up("server", notices=True),
        heard(kept, events=[{"event": "announced", "key": notice.hex(), "unix_s": at}]),
        *refused(kept, "auth"))
    later = Pair(1, "later").shake()
    bad("attack: replayed rotation, in a later connection", *later.up("server", notices=True),
        *refused(kept, "auth"))
    bad("a notice in the clear", *later.up("server", notices=True),
        *refused(framed(CONTROL, b"\x01" + notice + struct.pack(">Q", at)), "auth"))


for part in (schedule, frames, handshakes, bad_hellos, bad_accepts, bad_proofs, streams,
             bad_streams, rotation):
    part()
    print(part.__name__, len(tests))
FILE = {
    "format": 1,
    "protocol": "asoc",
    "component": "hardened",
    "source": {"name": "unconfirmed", "version": ""},
    "notes": [
        "Made by conformance/peers/asoc/hardened_profile.py, a second implementation that is"
        " written from the book's page alone. No outside implementation of this profile exists.",
    ],
    "tests": tests,
}
LINES = ",\n".join("  " + json.dumps(test, ensure_ascii=False) for test in FILE.pop("tests"))
HEAD = json.dumps(FILE, ensure_ascii=False).removesuffix("}")
OUT.write_text(f'{HEAD}, "tests": [\n{LINES}\n]}}\n')
