"""Writes conformance/vectors/asoc/*-edges.json: the wire page's rules at all positions.

Made with Python's own hashlib and hmac, not with the code under test. Nobody outside has confirmed
these cases; the files beside them that came with the page are the peer's.
Usage, from the root of the checkout: python3 conformance/peers/asoc/vectors.py
"""

import hashlib
import hmac
import json
import struct
import uuid
from pathlib import Path

OUT = Path(__file__).resolve().parents[2] / "vectors" / "asoc"
KEY = "4f1d3c5a7b9e8d2c6a0f4f1d3c5a7b9e8d2c6a0f4f1d3c5a7b9e8d2c6a0f1234"
OTHER_KEY = "another key of this length, never used"
OWN = "4e72e1bf-d6da-40ec-9f00-03f963d0cb2f"
PEER = "8c1bc277-fd35-402a-9b61-887f82a51352"
THIRD = "c113802e-921b-4518-b248-c68d30b4fe4c"
TOKEN = bytes.fromhex("831fecb38779353b")
COMMUNITY = "cluster-48582f"
NOW = 1_745_907_858
DATA, END, CONTROL, HELLO, ACCEPT = 1, 2, 3, 4, 5
MAX = 2**32 - 1


class File:
    """One vector file; ids are numbered."""

    def __init__(self, component):
        self.component = component
        self.tests = []

    def add(self, comment, *steps, flags=("positive",)):
        self.tests.append({
            "id": f"asoc-{self.component}-{len(self.tests) + 1:04}",
            "comment": comment,
            "flags": [*flags, "unconfirmed"],
            "source": {"name": "unconfirmed", "version": ""},
            "steps": list(steps),
        })

    def bad(self, comment, *steps, stricter=False):
        self.add(comment, *steps, flags=["negative"] + ["stricter-than-peer"] * stricter)

    def close(self):
        file = {
            "format": 1,
            "protocol": "asoc",
            "component": self.component,
            "source": {"name": "unconfirmed", "version": ""},
            "tests": self.tests,
        }
        text = json.dumps(file, indent=1, ensure_ascii=False)
        (OUT / f"{self.component}.json").write_text(text + "\n")
        print(self.component, len(self.tests))


def step(expect, bind=None, **ask):
    made = {"do": ask, "expect": expect}
    if bind:
        made["bind"] = bind
    return made


def no(kind):
    return {"error": {"class": kind}}


def mac(key, data, size):
    return hmac.new(key.encode(), data, hashlib.sha256).digest()[:size]


def head(kind, stream=0, sequence=0, length=0, version=1):
    return struct.pack(">BBIII", version, kind, stream, sequence, length)


def frame(kind, stream=0, sequence=0, payload=b"", version=1):
    return head(kind, stream, sequence, len(payload), version) + payload


def hello(node=PEER, challenge=7, key=KEY, **how):
    ident, number = uuid.UUID(node).bytes, challenge.to_bytes(4, "big")
    return frame(HELLO, payload=ident + mac(key, ident + number, 16) + number, **how)


def accept(token=TOKEN, key=KEY, **how):
    return frame(ACCEPT, payload=token + mac(key, token, 8), **how)


def discovery(node=PEER, port=9000, at=NOW, challenge=7, key=KEY, community=COMMUNITY):
    said = hashlib.sha256(community.encode()).digest()[:8] + uuid.UUID(node).bytes
    said += struct.pack(">HII", port, at, challenge)
    return said + mac(key, said, 16)


def flipped(data, bit):
    out = bytearray(data)
    out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


def headers():
    out = File("header-edges")
    fields = {"type": 3, "stream": 5, "seq": 7, "length": 9}

    def both(comment, data, dialect, values):
        out.add(comment, step({"bytes": data.hex()}, op="asoc.header.encode", dialect=dialect, **values),
                step(values, op="asoc.header.decode", dialect=dialect, bytes=data.hex()))

    for kind in range(256):
        both(f"octet type {kind}", head(kind, 5, 7, 9), "octet", {**fields, "type": kind})
    for kind in range(16):
        data = bytes([0x10 | kind]) + head(kind, 5, 7, 9)[2:]
        both(f"nibble type {kind}", data, "nibble", {**fields, "type": kind})
    for bit in range(32):
        values = {"type": 1, "stream": 1 << bit, "seq": 1 << 31 - bit, "length": (1 << bit) - 1}
        data = head(1, values["stream"], values["seq"], values["length"])
        both(f"octet fields around bit {bit}", data, "octet", values)
        both(f"nibble fields around bit {bit}", b"\x11" + data[2:], "nibble", values)
    for version in [0, *range(2, 256)]:
        data = head(1, 5, 7, 9, version)
        out.bad(f"octet version {version}", step(no("version"), op="asoc.header.decode", dialect="octet",
                                                 bytes=data.hex()), stricter=True)
    for version in [0, *range(2, 16)]:
        data = bytes([version << 4 | 1]) + head(1, 5, 7, 9)[2:]
        out.bad(f"nibble version {version}", step(no("version"), op="asoc.header.decode", dialect="nibble",
                                                  bytes=data.hex()))
    for dialect, data in (("octet", head(1, 5, 7, 9)), ("nibble", b"\x11" + head(1, 5, 7, 9)[2:])):
        for cut in range(len(data)):
            out.bad(f"{dialect}, {cut} bytes", step(no("truncated"), op="asoc.header.decode",
                                                    dialect=dialect, bytes=data[:cut].hex()))
        for more in (1, 2, 14):
            out.bad(f"{dialect}, {more} bytes more", step(no("length"), op="asoc.header.decode",
                                                          dialect=dialect, bytes=(data + bytes(more)).hex()))
    out.close()


def messages():
    for name, good, kind, size in (("hello", hello(), HELLO, 36), ("accept", accept(), ACCEPT, 16)):
        out = File(f"{name}-edges")

        def verify(expect, data, name=name, **more):
            return step(expect, op=f"asoc.{name}.verify", key=KEY, bytes=data.hex(), **more)

        for bit in range(14 * 8, len(good) * 8):
            out.bad(f"bit {bit} flipped", verify(no("auth"), flipped(good, bit)))
        for cut in range(len(good)):
            out.bad(f"{cut} bytes", verify(no("truncated"), good[:cut]))
        for other in range(256):
            if other != kind:
                out.bad(f"type {other}", verify(no("type"), flipped(good, 8)[:1] + bytes([other]) + good[2:]))
            if other != 1:
                out.bad(f"version {other}", verify(no("version"), bytes([other]) + good[1:]), stricter=True)
        for length in [*range(size), size + 1, 255, 256, 65_536, 1 << 24, 1 << 31, MAX]:
            data = good[:10] + length.to_bytes(4, "big") + good[14:]
            out.bad(f"length {length}", verify(no("length"), data))
        out.bad("a byte behind the frame", verify(no("length"), good + b"\0"))
        # Order of checks: a frame with every fault up to this one.
        wrong = bytearray(flipped(good, 14 * 8))
        out.bad("MAC only", verify(no("auth"), bytes(wrong)))
        wrong[13] ^= 1
        out.bad("length before MAC", verify(no("length"), bytes(wrong)))
        wrong[1] = DATA
        out.bad("type before length", verify(no("type"), bytes(wrong)))
        wrong[0] = 2
        out.bad("version before type", verify(no("version"), bytes(wrong)), stricter=True)
        for bit in range(2 * 8, 10 * 8):
            field = "uuid" if name == "hello" else "token"
            value = PEER if name == "hello" else TOKEN.hex()
            out.add(f"stream and sequence are tolerated, bit {bit}", verify({field: value}, flipped(good, bit)))
        if name == "hello":
            replays(out, "hello", lambda challenge, node=PEER: hello(node, challenge), {})
            out.bad("own UUID before the cache", step({}, {"c": "handle"}, op="asoc.seen.new", capacity=0, ttl_s=9),
                    verify(no("identity"), good, own=PEER, seen="$c", unix_s=NOW), stricter=True)
            out.bad("MAC before own UUID", verify(no("auth"), hello(key=OTHER_KEY), own=PEER))
        out.close()


def replays(out, name, make, more):
    def verify(expect, challenge, at, node=PEER):
        return step(expect, op=f"asoc.{name}.verify", key=KEY, bytes=make(challenge, node).hex(), seen="$c",
                    unix_s=at, **more)

    def cache(capacity, ttl):
        return step({}, {"c": "handle"}, op="asoc.seen.new", capacity=capacity, ttl_s=ttl)

    fine = {"uuid": PEER}
    out.bad("twice in the same second", cache(9, 300), verify(fine, 1, NOW), verify(no("replay"), 1, NOW))
    out.bad("three times", cache(9, 300), verify(fine, 1, NOW), verify(no("replay"), 1, NOW + 1),
            verify(no("replay"), 1, NOW + 2))
    out.bad("others in between", cache(9, 300), *(verify(fine, count, NOW) for count in range(8)),
            verify(no("replay"), 0, NOW + 1), stricter=True)
    out.bad("the last place is taken, the next is refused", cache(3, 300),
            *(verify(fine, count, NOW) for count in range(3)), verify(no("limit"), 3, NOW),
            verify(no("limit"), 3, NOW + 50), verify(no("replay"), 0, NOW + 51), stricter=True)
    out.bad("a cache of nothing takes nothing", cache(0, 300), verify(no("limit"), 1, NOW), stricter=True)
    out.add("another node, same challenge", cache(9, 300), verify(fine, 1, NOW),
            verify({"uuid": THIRD}, 1, NOW, THIRD))
    out.add("expired, and room again", cache(1, 20), verify(fine, 1, NOW), verify(no("limit"), 2, NOW + 5),
            verify(fine, 2, NOW + 30))
    out.bad("a clock set back forgets nothing", cache(9, 50), verify(fine, 1, NOW + 40),
            verify(no("replay"), 1, NOW), stricter=True)


def discoveries():
    out = File("discovery-edges")
    good = discovery()

    def verify(expect, data, at=NOW, **more):
        return step(expect, op="asoc.discovery.verify", key=KEY, community=COMMUNITY, bytes=data.hex(),
                    unix_s=at, **more)

    for bit in range(50 * 8):
        out.bad(f"bit {bit} flipped", verify(no("name" if bit < 64 else "auth"), flipped(good, bit)))
    for size in [*range(50), 51, 52, 64, 100, 1400]:
        out.bad(f"{size} bytes", verify(no("length"), (good * 28)[:size]))
    for off in (0, 1, 2, 30, 59, 60):
        for at in (NOW - off, NOW + off):
            out.add(f"clock at {at - NOW:+} s", verify({"uuid": PEER, "unix_s": NOW}, good, at))
    for off in (61, 62, 120, 3600, 86_400):
        out.bad(f"{off} s old", verify(no("stale"), good, NOW + off), stricter=True)
        out.bad(f"{off} s ahead", verify(no("future"), good, NOW - off), stricter=True)
    for at, now, kind in ((0, NOW, "stale"), (0, 61, "stale"), (MAX, NOW, "future"), (61, 0, "future"),
                          (MAX, 2**32 + 60, "stale"), (0, 2**53, "stale")):
        out.bad(f"sent at {at}, now {now}", verify(no(kind), discovery(at=at), str(now)), stricter=True)
    for at, now in ((0, 0), (0, 60), (60, 0), (MAX, MAX), (MAX, 2**32 + 59)):
        out.add(f"sent at {at}, now {now}", verify({"unix_s": at}, discovery(at=at), now))
    for port in (0, 1, 255, 256, 9000, 65_535):
        data = discovery(port=port)
        out.add(f"port {port}", step({"bytes": data.hex()}, op="asoc.discovery.encode", key=KEY, port=port,
                                     community=COMMUNITY, uuid=PEER, unix_s=NOW, challenge=7),
                verify({"port": port}, data))
    for name in ("", "x", "CLUSTER-48582F", COMMUNITY + " ", COMMUNITY + "\0", "Größe", "群"):
        out.bad(f"community {name!r}", verify(no("name"), discovery(community=name)))
    out.bad("own broadcast", verify(no("identity"), good, own=PEER))
    out.bad("a HELLO frame is 50 bytes too", verify(no("name"), hello()))
    cache = step({}, {"c": "handle"}, op="asoc.seen.new", capacity=0, ttl_s=300)
    # Order of checks: each message has all faults from its own on.
    late = NOW + 61
    out.bad("time before the cache", cache, verify(no("stale"), good, late, seen="$c"), stricter=True)
    out.bad("own UUID before time", cache, verify(no("identity"), good, late, seen="$c", own=PEER))
    bad = flipped(good, 49 * 8)
    out.bad("MAC before own UUID", cache, verify(no("auth"), bad, late, seen="$c", own=PEER))
    bad = flipped(bad, 0)
    out.bad("community before MAC", cache, verify(no("name"), bad, late, seen="$c", own=PEER))
    out.bad("length before community", cache, verify(no("length"), bad[:49], late, seen="$c", own=PEER))
    kept = step({}, {"c": "handle"}, op="asoc.seen.new", capacity=1, ttl_s=300)
    for what, step_ in (("a late one", verify(no("stale"), good, late, seen="$c")),
                        ("our own", verify(no("identity"), good, own=PEER, seen="$c")),
                        ("a forged one", verify(no("auth"), flipped(good, 399), seen="$c"))):
        out.add(f"{what} leaves no trace in the cache", kept, step_, verify({"uuid": PEER}, good, seen="$c"))
    replays(out, "discovery", lambda challenge, node=PEER: discovery(node, challenge=challenge),
            {"community": COMMUNITY})
    out.close()


if __name__ == "__main__":
    import session_vectors

    headers()
    messages()
    discoveries()
    session_vectors.sessions()
