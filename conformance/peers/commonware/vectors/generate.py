"""Writes conformance/vectors/commonware/*-edges.json: cases that the crates' own do not hold.

All values are drawn from fixed labels, so a second run changes nothing. COMMONWARE_PEER names the
program built from this folder's Cargo.toml: it judges every whole Syn of V0 and V1, and a vector that
it judges the same way names it as its source. What it accepts and the wire page forbids (identities of
small order, our own) has the flag `rule`; it and everything else is `unconfirmed`.
"""

import hashlib
import json
import os
import pathlib
import subprocess

import edwards25519 as ed
import model
from model import End, answer, first, frame, seal, varint

OUT = pathlib.Path(__file__).parents[3] / "vectors/commonware"
NOW = 1_780_000_000_000
ALL = ("v0", "v1", "b", "a")
SYNS = ("v0", "v1", "b")
AGE, AHEAD = 10_000, 5_000

LOW_ORDER = [
    bytes.fromhex(text)
    for text in (
        "00" * 32,
        "01" + "00" * 31,
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
]
LOW_ORDER += [key[:31] + bytes([key[31] | 128]) for key in LOW_ORDER]
SMALL_ORDER = sorted(raw for point in ed.torsion() for raw in ed.encodings(point))
ANYTHING = b"\1" + bytes(63)


def draw(label, size=32):
    return hashlib.shake_256(b"stillwire commonware " + label.encode()).digest(size)


class File:
    def __init__(self, component):
        self.component, self.tests = component, []

    def add(self, comment, flags, *steps):
        number = len(self.tests) + 1
        self.tests.append(
            {
                "id": f"commonware-{self.component}-{number:04}",
                "comment": comment,
                "flags": [*flags, "unconfirmed"],
                "steps": list(steps),
            }
        )
        return self.tests[-1]

    def confirm(self, program):
        """Asks the crate about every test that is one whole first message."""
        asked = [(test, line) for test in self.tests if (line := judged(test))]
        run = subprocess.run(
            [program, "judge"],
            input="".join(line + "\n" for _, line in asked),
            capture_output=True,
            check=True,
            text=True,
        )
        verdicts = run.stdout.split()
        assert len(verdicts) == len(asked)
        for (test, _), verdict in zip(asked, verdicts):
            positive = "error" not in test["steps"][0]["expect"]
            if (verdict == "accepts") == positive:
                test["flags"].remove("unconfirmed")
                test["flags"].append("peer-" + verdict)
                test["source"] = {"name": "commonware-cryptography, judging", "version": "2026.10.0"}
            else:
                allowed = {"case-105", "case-111"} & set(test["flags"])
                assert verdict == "accepts" and allowed, test["comment"]
                test["flags"].append("rule")
        print(f"{len(asked)} judged by the crate")

    def write(self):
        head = {
            "format": 1,
            "protocol": "commonware",
            "component": self.component,
            "source": {"name": "unconfirmed", "version": "conformance/peers/commonware/vectors"},
        }
        lines = ",\n".join("  " + json.dumps(test, separators=(",", ":"), ensure_ascii=False) for test in self.tests)
        text = json.dumps(head, separators=(",", ":"))[:-1] + ',"tests":[\n' + lines + "\n]}\n"
        (OUT / f"{self.component}.json").write_text(text)
        print(f"{len(self.tests)} {self.component}")


def judged(test):
    """The line that asks the crate, or nothing where framing is the point or the era is old."""
    do = test["steps"][0]["do"]
    frames = bytes.fromhex(do.get("bytes", ""))
    whole = len(frames) == 138 and frames[0] == 32 and frames[33] == 104
    if do["op"] != "commonware.listen" or do["profile"] not in ("v0", "v1") or not whole:
        return None
    if len(test["steps"]) > 1:
        return None
    names = "profile", "namespace", "sk", "time_ms", "max_age_ms", "synchrony_ms"
    words = [str(do[name]) or "-" for name in names]
    return " ".join([*words, frames[1:33].hex(), frames[34:].hex()])


def step(do, expect, bind=None):
    return {"do": do, "expect": expect} | ({"bind": bind} if bind else {})


def fault(name):
    return {"error": {"class": name}}


class Pair:
    """A dialer and a listener with everything they send."""

    def __init__(self, profile, label="pair"):
        at = f"{label} {profile} "
        namespace = draw(at + "namespace", 9)
        self.profile = profile
        self.d = End(profile, namespace, draw(at + "d"), draw(at + "de"), NOW)
        self.l = End(profile, namespace, draw(at + "l"), draw(at + "le"), NOW + 40)
        self.frames = first(self.d, self.l.pk)
        self.answer, (self.keys, ack) = answer(self.l, self.d.pk, self.frames)
        self.ack = frame(profile, ack)

    def terms(self, end, **other):
        return {
            "profile": self.profile,
            "namespace": end.namespace.hex(),
            "sk": end.sk.hex(),
            "esk": end.esk.hex(),
            "max_age_ms": AGE,
            "synchrony_ms": AHEAD,
        } | other

    def listen(self, frames, expect, bind=None, time=NOW + 40, **other):
        do = {"op": "commonware.listen"} | self.terms(self.l, time_ms=time)
        do |= {"bytes": frames.hex()} | other
        return step(do, expect, bind)

    def dial(self, **other):
        do = {"op": "commonware.dial"} | self.terms(self.d, time_ms=NOW)
        do |= {"listener": self.l.pk.hex()} | other
        return step(do, {"out": self.frames.hex()}, {"d": "handle"})

    def finish(self, data, expect, time=NOW + 80):
        do = {"op": "commonware.dial.finish", "handle": "$d", "bytes": data.hex(), "time_ms": time}
        return step(do, expect)

    def listened(self):
        expect = {"dialer": self.d.pk.hex(), "out": self.answer.hex()}
        return self.listen(self.frames, expect, {"l": "handle"})

    def acked(self, data, expect):
        do = {"op": "commonware.listen.finish", "handle": "$l", "bytes": data.hex()}
        return step(do, expect)


def bad_prefixes(profile, size):
    """Prefixes that are refused, with their class; `size` is the right one."""
    if profile[0] == "v":
        low, high = size & 127, size >> 7
        longer = bytes([low | 128, high | 128, 0] if high else [low | 128, 0])
        yield "a needless zero byte", longer, "encoding"
        yield "five bytes and more to come", b"\x80\x80\x80\x80\x80", "encoding"
        yield "six bytes", b"\x80\x80\x80\x80\x80\x01", "encoding"
        yield "2^32", b"\x80\x80\x80\x80\x10", "encoding"
        yield "2^32 - 1", b"\xff\xff\xff\xff\x0f", "length"
        sizes = (0, size - 1, size + 1)
        yield from ((f"{n}", varint(n), "length") for n in sizes)
    else:
        sizes = (0, size - 1, size + 1, 2**32 - 1)
        yield from ((f"{n}", n.to_bytes(4, "big"), "length") for n in sizes)


def prefixes(file):
    for profile in ALL:
        pair = Pair(profile, "prefix")
        width = 1 if profile[0] == "v" else 4
        if profile != "a":
            identity = pair.frames[: width + 32]
            for name, prefix, kind in bad_prefixes(profile, 32):
                flags = ["negative", profile, "case-098-099"]
                data = prefix + pair.frames[width:]
                file.add(f"{profile}: identity frame of length {name}", flags, pair.listen(data, fault(kind)))
            for name, prefix, kind in bad_prefixes(profile, 104):
                flags = ["negative", profile, "case-098-100"]
                data = identity + prefix + pair.frames[width + 32 + width :]
                file.add(f"{profile}: syn of length {name}", flags, pair.listen(data, fault(kind)))
            wide = 2 if profile[0] == "v" else 4
            for name, prefix, kind in bad_prefixes(profile, 136):
                flags = ["negative", profile, "case-098-100"]
                data = prefix + pair.answer[wide:]
                steps = pair.dial(), pair.finish(data, fault(kind))
                file.add(f"{profile}: answer of length {name}", flags, *steps)
        else:
            sizes = (0, 1, 161, 204, 2**32 - 1)
            for size in sizes:
                data = size.to_bytes(4, "big") + pair.frames[4:]
                flags = ["negative", profile, "case-100"]
                file.add(f"a: hello of length {size}", flags, pair.listen(data, fault("length")))
            for size in (0, 177, 220, 2**32 - 1):
                data = size.to_bytes(4, "big") + pair.answer[4:]
                flags = ["negative", profile, "case-100"]
                file.add(f"a: answer of length {size}", flags, pair.dial(), pair.finish(data, fault("length")))
        size = 16 if profile == "a" else 32
        for name, prefix, kind in bad_prefixes(profile, size):
            flags = ["negative", profile, "case-098-100"]
            data = prefix + pair.ack[width:]
            file.add(f"{profile}: ack of length {name}", flags, pair.listened(), pair.acked(data, fault(kind)))


def cuts(file):
    for profile in ALL:
        pair = Pair(profile, "cut")
        flags = ["negative", profile, "truncation"]
        ends = {1, 4, 5, 32, 33, 34, 36, 37, 40, 41, 72, 100, 137, 138, len(pair.frames) - 1}
        for cut in sorted(end for end in ends if end < len(pair.frames)):
            asked = pair.listen(pair.frames[:cut], fault("truncated"))
            file.add(f"{profile}: {cut} bytes of the dialer's frames", flags, asked)
        for cut in (0, 1, 4, 100, len(pair.answer) - 1):
            steps = pair.dial(), pair.finish(pair.answer[:cut], fault("truncated"))
            file.add(f"{profile}: {cut} bytes of the answer", flags, *steps)
        for cut in (0, 1, len(pair.ack) - 1):
            steps = pair.listened(), pair.acked(pair.ack[:cut], fault("truncated"))
            file.add(f"{profile}: {cut} bytes of the ack", flags, *steps)


def hellos(file):
    """Parts of era a's Hello in other forms."""
    pair = Pair("a", "hello")
    body = pair.frames[4:]
    time = varint(NOW)
    head, tail = body[:64], body[64 + len(time) :]
    forms = (
        ("a needless zero byte", time[:-1] + bytes([time[-1] | 128, 0]), "encoding"),
        ("2^64", b"\x80" * 9 + b"\x02", "encoding"),
        ("ten bytes and more to come", b"\xff" * 9 + b"\x81", "encoding"),
    )
    for name, form, kind in forms:
        asked = pair.listen(frame("a", head + form + tail), fault(kind))
        file.add(f"a: time as {name}", ["negative", "a", "case-098"], asked)
    for option in (2, 0x80, 0xFF):
        data = head + time + bytes_of(option) + tail[1:]
        asked = pair.listen(frame("a", data), fault("encoding"))
        file.add(f"a: option byte {option}", ["negative", "a"], asked)
    asked = pair.listen(frame("a", head + time + b"\1" + tail[1:]), fault("length"))
    file.add("a: a tag promised that is not there", ["negative", "a", "case-100"], asked)
    tagged = frame("a", model.hello(pair.d, pair.l.pk, draw("tag")))
    out, _ = answer(pair.l, pair.d.pk, tagged)
    asked = pair.listen(tagged, {"dialer": pair.d.pk.hex(), "out": out.hex()})
    file.add("a: a tag in the dialer's hello is not looked at", ["positive", "a"], asked)
    for name, tag in (("another", draw("another tag")), ("a bit of the", flip(hashlib.sha256(body).digest()))):
        data, _ = answer(pair.l, pair.d.pk, pair.frames, tag=tag)
        steps = pair.dial(), pair.finish(data, fault("auth"))
        file.add(f"a: {name} continuation tag in the answer", ["negative", "a", "session-swap"], *steps)
    other = End("a", pair.l.namespace, draw("other listener"), pair.l.esk, NOW + 40)
    data, _ = answer(other, pair.d.pk, pair.frames)
    steps = pair.dial(), pair.finish(data, fault("identity"))
    file.add("a: another identity answers", ["negative", "a", "case-102"], *steps)
    data, _ = answer(pair.l, pair.d.pk, pair.frames, recipient=draw("someone"))
    steps = pair.dial(), pair.finish(data, fault("identity"))
    file.add("a: the answer is meant for somebody else", ["negative", "a"], *steps)


def bytes_of(n):
    return bytes([n])


def flip(data, at=-1, bit=1):
    data = bytearray(data)
    data[at] ^= bit
    return bytes(data)


def windows(file):
    for profile in ALL:
        upper = 0 if profile == "a" else -1
        limit = 2**64 - 1
        cases = [
            (f"{name} of the window", AGE, AHEAD, NOW, NOW + offset, kind)
            for name, offset, kind in (
                ("one before the start", -AGE - 1, "stale"),
                ("the start", -AGE, None),
                ("one after the start", -AGE + 1, None),
                ("one before the end", AHEAD + upper - 1, None),
                ("the last moment", AHEAD + upper, None),
                ("the first moment after the end", AHEAD + upper + 1, "future"),
            )
        ]
        same = None if profile == "a" else "future"
        cases += [
            ("a bound of 0, the same millisecond", AGE, 0, NOW, NOW, same),
            ("a bound of 0, one before", AGE, 0, NOW, NOW - 1, None),
            ("an age of 0, one before", 0, AHEAD, NOW, NOW - 1, "stale"),
            ("an age of 0, the same millisecond", 0, AHEAD, NOW, NOW, None),
            ("time 0, which an age beyond the epoch takes", NOW * 2, AHEAD, NOW, 0, None),
            ("now near the epoch, time 0", AGE, AHEAD, 5, 0, None),
            ("the end of time, bound saturated", AGE, AHEAD, limit, limit, same),
            ("just before the end of time", AGE, AHEAD, limit, limit - 1, None),
            ("time 2^64 - 1, long before", AGE, AHEAD, NOW, limit, "future"),
        ]
        pair = Pair(profile, "window")
        for name, age, ahead, now, sent, kind in cases:
            flags = ["negative" if kind else "positive", profile, "window", "case-103"]
            bounds = {"max_age_ms": age, "synchrony_ms": ahead, "time_ms": str(now)}
            d = End(profile, pair.d.namespace, pair.d.sk, pair.d.esk, sent)
            frames = first(d, pair.l.pk)
            asked = pair.listen(frames, fault(kind) if kind else {"dialer": d.pk.hex()}, **bounds)
            file.add(f"{profile}: syn, {name}", flags, asked)
            l = End(profile, pair.l.namespace, pair.l.sk, pair.l.esk, sent)
            data, (keys, ack) = answer(l, pair.d.pk, pair.frames)
            expect = fault(kind) if kind else keys | {"out": frame(profile, ack).hex()}
            dial = pair.dial(max_age_ms=age, synchrony_ms=ahead)
            file.add(f"{profile}: answer, {name}", flags, dial, pair.finish(data, expect, str(now)))
        # One fault of two: the window is judged before the signature.
        data = flip(pair.frames, -1, 0x40)
        asked = pair.listen(data, fault("stale"), time=NOW + AGE + 1)
        file.add(f"{profile}: too old and badly signed", ["negative", profile, "order"], asked)


def keys(file):
    for profile in ALL:
        pair = Pair(profile, "key")
        for n, key in enumerate(LOW_ORDER):
            flags = ["negative", profile, "low-order", "case-104"]
            asked = pair.listen(first(pair.d, pair.l.pk, epk=key), fault("weak_key"))
            file.add(f"{profile}: low-order ephemeral key {n} in the syn", flags, asked)
            data, _ = answer(pair.l, pair.d.pk, pair.frames, epk=key)
            steps = pair.dial(), pair.finish(data, fault("weak_key"))
            file.add(f"{profile}: low-order ephemeral key {n} in the answer", flags, *steps)
        high = pair.d.epk[:31] + bytes([pair.d.epk[31] | 128])
        out, _ = answer(pair.l, pair.d.pk, first(pair.d, pair.l.pk, epk=high))
        expect = {"dialer": pair.d.pk.hex(), "out": out.hex()}
        asked = pair.listen(first(pair.d, pair.l.pk, epk=high), expect)
        file.add(f"{profile}: ephemeral key with its top bit set", ["positive", profile], asked)


def identities(file):
    anything = lambda *_: ANYTHING
    none = b"\2" + bytes(31)
    large = [b"\xf0" + b"\xff" * 30 + last for last in (b"\x7f", b"\xff")]
    for profile in ALL:
        pair = Pair(profile, "identity")
        bad = [(f"small-order identity {n}", key) for n, key in enumerate(SMALL_ORDER)]
        for name, key in [*bad, ("identity that is no point", none)]:
            flags = ["negative", profile, "case-105"]
            asked = pair.listen(first(pair.d, pair.l.pk, sign=anything, pk=key), fault("identity"))
            file.add(f"{profile}: {name} dials", flags, asked)
            do = pair.dial(listener=key.hex())["do"]
            file.add(f"{profile}: {name} is dialed", flags, step(do, fault("identity")))
        for n, key in enumerate(large):
            asked = pair.listen(first(pair.d, pair.l.pk, sign=anything, pk=key), fault("auth"))
            flags = ["negative", profile, "zip215", "case-106"]
            file.add(f"{profile}: identity {n} that is not canonical passes for a point", flags, asked)
        ourselves = End(profile, pair.l.namespace, pair.l.sk, pair.d.esk, NOW)
        own = first(ourselves, pair.l.pk)
        dialed = pair.dial(listener=pair.d.pk.hex())["do"]
        flags = [profile, "case-111"]
        if profile == "a":
            file.add("a: our own identity dials", ["negative", *flags], pair.listen(own, fault("identity")))
            file.add("a: our own identity is dialed", ["negative", *flags], step(dialed, fault("identity")))
            continue
        out, _ = answer(pair.l, pair.l.pk, own)
        accepted = pair.listen(own, {"dialer": pair.l.pk.hex(), "out": out.hex()})
        file.add(f"{profile}: our own identity dials", ["positive", *flags], accepted)
        out = first(pair.d, pair.d.pk)
        file.add(f"{profile}: our own identity is dialed", ["positive", *flags], step(dialed, {"out": out.hex()}))
        refused = pair.listen(own, fault("identity"), refuse_self=True)
        comment = f"{profile}: our own identity dials a hardened listener"
        file.add(comment, ["negative", *flags], refused)["profile"] = "hardened"
        refused = step(dialed | {"refuse_self": True}, fault("identity"))
        comment = f"{profile}: our own identity is dialed by a hardened dialer"
        file.add(comment, ["negative", *flags], refused)["profile"] = "hardened"


def signatures(file):
    torsion = ed.torsion()
    for profile in ALL:
        pair = Pair(profile, "signature")
        point = ed.decode(pair.d.pk)
        cases = []
        for n in range(1, 8):
            key = ed.encode(ed.add(point, torsion[n]))
            sign = lambda sk, m, key=key: ed.sign(sk, m, key)
            cases.append((f"identity with torsion {n}", key, sign))
            sign = lambda sk, m, n=n: ed.sign(sk, m, None, torsion[n])
            cases.append((f"R with torsion {n}", None, sign))
        for n, small in enumerate(SMALL_ORDER):
            sign = lambda sk, m, small=small: ed.sign(sk, m, None, ed.ZERO, small)
            cases.append((f"R of small order, encoding {n}", None, sign))
        for name, key, sign in cases:
            frames = first(pair.d, pair.l.pk, sign=sign, pk=key)
            dialer = key or pair.d.pk
            d = pair.d
            out, _ = answer(pair.l, dialer, frames)
            asked = pair.listen(frames, {"dialer": dialer.hex(), "out": out.hex()})
            file.add(f"{profile}: {name}", ["positive", profile, "zip215", "case-106"], asked)

        def plus_order(sk, message):
            good = ed.sign(sk, message)
            s = int.from_bytes(good[32:], "little") + ed.L
            return good[:32] + s.to_bytes(32, "little")

        bad = [
            ("S plus the group order", plus_order),
            ("S of the group order", lambda sk, m: ed.sign(sk, m)[:32] + ed.L.to_bytes(32, "little")),
            ("S of zero", lambda sk, m: ed.sign(sk, m)[:32] + bytes(32)),
            ("R that is no point", lambda sk, m: b"\2" + bytes(31) + ed.sign(sk, m)[32:]),
            ("a signature of zeros", lambda sk, m: bytes(64)),
            ("the signature of another message", lambda sk, m: ed.sign(sk, m + b"x")),
            ("the signature of another key", lambda sk, m: ed.sign(draw("stranger"), m)),
        ]
        for name, sign in bad:
            flags = ["negative", profile, "case-106"]
            asked = pair.listen(first(pair.d, pair.l.pk, sign=sign), fault("auth"))
            file.add(f"{profile}: {name}", flags, asked)
            data, _ = answer(pair.l, pair.d.pk, pair.frames, sign=sign)
            steps = pair.dial(), pair.finish(data, fault("auth"))
            file.add(f"{profile}: {name}, in the answer", flags, *steps)


def sessions(file):
    for profile in ALL:
        pair, other = Pair(profile, "session"), Pair(profile, "other session")
        size = 16 if profile == "a" else 32
        swapped, _ = answer(pair.l, pair.d.pk, pair.frames, swap=True)
        steps = pair.dial(), pair.finish(swapped, fault("auth"))
        flags = ["negative", profile, "case-107"]
        file.add(f"{profile}: dialer's confirmation in the answer", flags, *steps)
        reflected = frame(profile, pair.answer[-size:])
        steps = pair.listened(), pair.acked(reflected, fault("auth"))
        file.add(f"{profile}: listener's confirmation as the ack", flags, *steps)
        steps = pair.listened(), pair.acked(other.ack, fault("auth"))
        flags = ["negative", profile, "session-swap", "case-108"]
        file.add(f"{profile}: ack of another session", flags, *steps)
        again = End(profile, pair.d.namespace, pair.d.sk, draw("again " + profile), NOW)
        old, _ = answer(pair.l, pair.d.pk, first(again, pair.l.pk))
        steps = pair.dial(), pair.finish(old, fault("auth"))
        flags = ["negative", profile, "session-swap", "case-109"]
        file.add(f"{profile}: answer to another syn of the same dialer", flags, *steps)
        whole = pair.keys | {"out": pair.ack.hex()}
        steps = [pair.dial(), pair.finish(pair.answer, whole), pair.finish(pair.answer, fault("state"))]
        file.add(f"{profile}: a dialer finishes once", ["negative", profile, "state"], *steps)
        steps = [pair.listened(), pair.acked(pair.ack, pair.keys), pair.acked(pair.ack, fault("state"))]
        file.add(f"{profile}: a listener finishes once", ["negative", profile, "state"], *steps)
        steps = [pair.dial(), pair.finish(flip(pair.answer), fault("auth")), pair.finish(pair.answer, fault("state"))]
        file.add(f"{profile}: nothing after a failure", ["negative", profile, "case-116"], *steps)
        for theirs in ALL:
            if theirs != profile:
                frames = Pair(theirs, "session").frames
                same = {profile, theirs} == {"v0", "v1"}
                stranger = Pair(profile, "session")
                stranger.l = Pair(theirs, "session").l
                kind = "auth" if same else "length"
                flags = ["negative", profile, "downgrade", "case-110"]
                asked = stranger.listen(frames, fault(kind))
                file.add(f"{profile}: first frames of profile {theirs}", flags, asked)


def records(file):
    key = draw("record key")

    def opens(comment, profile, n, wire, expect, limit=1 << 20, *flags):
        do = {"op": "commonware.record.open", "profile": profile, "key": key.hex(), "n": n}
        do |= {"wire": wire.hex(), "limit": limit}
        sign = "negative" if "error" in expect else "positive"
        file.add(f"{profile}: {comment}", [sign, profile, *flags], step(do, expect))

    for profile in ALL:
        for n in (0, 1, 255, 256, 2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1):
            plain = draw(f"plain {n}", 21)
            number = n if n < 2**53 else str(n)
            wire = seal(profile, key, n, plain)
            opens(f"open, record {n}", profile, number, wire, {"plain": plain.hex()})
            do = {"op": "commonware.record.seal", "profile": profile, "key": key.hex(), "n": number}
            do["plain"] = plain.hex()
            file.add(f"{profile}: seal, record {n}", ["positive", profile], step(do, {"wire": wire.hex()}))
        plain = draw("a record", 40)
        wire = seal(profile, key, 3, plain)
        for cut in sorted({0, 1, 2, 3, 4, 19, 20, 21, 35, 36, len(wire) - 1}):
            opens(f"open, {cut} bytes of it", profile, 3, wire[:cut], fault("truncated"))
        for at in range(0 if profile == "v1" else len(wire) - 56, len(wire), 5):
            opens(f"open, a bit of byte {at}", profile, 3, flip(wire, at, 8), fault("auth"))
        opens("open, bytes behind it stay", profile, 3, wire + b"more", {"plain": plain.hex()})
        opens("open, exactly the limit", profile, 3, wire, {"plain": plain.hex()}, 40)
        opens("open, one above the limit", profile, 3, wire, fault("limit"), 39, "case-113")
        opens("open, a limit of 0", profile, 3, wire, fault("limit"), 0, "case-113")
        empty = seal(profile, key, 3, b"")
        opens("open, empty under a limit of 0", profile, 3, empty, {"plain": ""}, 0)
        for other in ALL:
            if other != profile and not {other, profile} <= {"a", "b"}:
                continue
            if other != profile:
                wire_of = seal(other, key, 3, plain)
                opens(f"open, byte order of {other}", profile, 3, wire_of, fault("auth"), 1 << 20, "case-114")
        if profile == "v1":
            head = ChaCha(key, 6, (10).to_bytes(4, "big"))
            opens("open, header says less than the body is", profile, 3, head + wire[20:], fault("auth"), 1 << 20, "case-115")
            head = ChaCha(key, 7, (40).to_bytes(4, "big"))
            opens("open, header sealed at the body's position", profile, 3, head + wire[20:], fault("auth"), 1 << 20, "case-115")
            head = ChaCha(key, 6, (2**32 - 1).to_bytes(4, "big"))
            opens("open, header says 2^32 - 1", profile, 3, head + wire[20:], fault("limit"), 1 << 20, "case-113")
            opens("open, header alone over the limit", profile, 3, wire[:20], fault("limit"), 39, "case-113")
        else:
            for length in (0, 1, 15):
                prefix = frame(profile, bytes(length))[:-length] if length else frame(profile, b"")
                opens(f"open, length {length}", profile, 3, prefix, fault("length"), 1 << 20, "case-112")
            prefix = frame(profile, bytes(57))[:-57]
            opens("open, the prefix alone over the limit", profile, 3, prefix, fault("limit"), 40, "case-113")


def ChaCha(key, counter, plain):
    cipher = model.ChaCha20Poly1305(key)
    return cipher.encrypt(counter.to_bytes(12, "little"), plain, None)


def main():
    handshakes = File("handshake-edges")
    for family in (prefixes, cuts, hellos, windows, keys, identities, signatures, sessions):
        family(handshakes)
    if program := os.environ.get("COMMONWARE_PEER"):
        handshakes.confirm(program)
    handshakes.write()
    sealed = File("record-edges")
    records(sealed)
    sealed.write()


if __name__ == "__main__":
    main()
