"""Writes conformance/vectors/packetfs/edges.json: what the vectors that came with the page leave
out, negative cases above all. Values come from overlay.py, classes from the conformance page.

    target/peers/packetfs/bin/python conformance/peers/packetfs/vectors.py

All randomness is drawn from fixed labels: a second run changes nothing."""

import hashlib
import json
import pathlib
import struct

import overlay

TESTS = []
LAST = 2**64 - 1
ALGORITHMS = [(overlay.AES, "AES", 12), (overlay.XCHACHA, "XChaCha", 24)]


def drawn(label, length):
    return hashlib.shake_256(b"packetfs edges: " + label.encode()).digest(length)


def number(value):
    return value if value < 2**53 else str(value)


def add(comment, op, expect, *flags, **arguments):
    kind = "negative" if "error" in expect else "positive"
    do = {"op": f"packetfs.{op}"} | {
        name: value.hex() if isinstance(value, bytes) else value
        for name, value in arguments.items()
    }
    TESTS.append(
        {
            "id": f"packetfs-edges-{len(TESTS) + 1:04}",
            "comment": comment,
            "flags": [kind, *flags, "unconfirmed"],
            "steps": [{"do": do, "expect": expect}],
        }
    )


def refused(name):
    return {"error": {"class": name}}


def flipped(data, bit):
    out = bytearray(data)
    out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


def prefaces():
    for alg, name, _ in ALGORITHMS:
        for epk in (None, drawn("epk", 32)):
            whole = overlay.preface(alg, drawn("salt", 32), epk)
            for cut in range(len(whole)):
                comment = f"{name} preface of {len(whole)} bytes cut to {cut}"
                add(comment, "preface.decode", refused("truncated"), bytes=whole[:cut])
            comment = f"{name} preface and one byte"
            add(comment, "preface.decode", refused("length"), bytes=whole + b"\0")
            for bit in range(64):
                byte = bit // 8
                name_of = "type" if byte < 4 or byte == 5 else "encoding"
                if byte == 4:
                    name_of = "version"
                if bit == 48:
                    name_of = "truncated" if epk is None else "length"
                comment = f"{name} preface of {len(whole)} bytes, bit {bit} flipped"
                bad = flipped(whole, bit)
                add(comment, "preface.decode", refused(name_of), bytes=bad)
    psk = drawn("psk", 32)
    plain = overlay.preface(overlay.AES, drawn("salt", 32))
    add("a PSK behind a preface", "preface.decode", refused("length"), bytes=plain + psk)
    for length in (0, 31, 33):
        salt = drawn("salt", length)
        comment = f"salt of {length} bytes"
        add(comment, "preface.encode", refused("length"), alg=1, salt=salt)
    for length in (0, 31, 33):
        epk = drawn("epk", length)
        comment = f"ephemeral key of {length} bytes"
        add(comment, "preface.encode", refused("length"), alg=1, salt=drawn("salt", 32), epk=epk)
    for alg in (0, 3, 255, 256):
        comment = f"algorithm {alg}"
        add(comment, "preface.encode", refused("type"), "algorithm", alg=alg, salt=drawn("salt", 32))


def keys():
    psk = drawn("psk", 32)
    for alg, name, _ in ALGORITHMS:
        pair = [overlay.preface(alg, drawn(f"salt {side}", 32)) for side in "ir"]
        secret = [overlay.preface(alg, drawn(f"salt {side}", 32), drawn(side, 32)) for side in "ir"]
        schedule = overlay.Schedule(psk, *pair)
        for channel in range(4):
            for direction in ("i2r", "r2i"):
                for epoch in (0, 1, 63, 64, 2**31, 2**32 - 1):
                    key, nonce = schedule.key(channel, direction, epoch)
                    add(
                        f"{name}, channel {channel}, {direction}, epoch {epoch}",
                        "keys",
                        {"key": key.hex(), "nonce": nonce.hex()},
                        psk=psk,
                        preface_i=pair[0],
                        preface_r=pair[1],
                        channel=channel,
                        direction=direction,
                        epoch=epoch,
                    )
        good = {"psk": psk, "preface_i": pair[0], "preface_r": pair[1]}
        good |= {"channel": 2, "direction": "i2r", "epoch": 0}
        for length in (0, 1, 16, 31):
            comment = f"{name}, PSK of {length} bytes"
            add(comment, "keys", refused("weak_key"), **good | {"psk": psk[:length]})
        long = drawn("long psk", 200)
        key, nonce = overlay.Schedule(long, *pair).key(2, "i2r", 0)
        expect = {"key": key.hex(), "nonce": nonce.hex()}
        add(f"{name}, PSK of 200 bytes", "keys", expect, **good | {"psk": long})
        for channel in (4, 255, 256):
            comment = f"{name}, channel {channel}"
            add(comment, "keys", refused("type"), **good | {"channel": channel})
        for direction in ("", "I2R", "i2i", "r2i ", "dialer"):
            comment = f"{name}, direction {direction!r}"
            add(comment, "keys", refused("type"), **good | {"direction": direction})
        with_flag = good | {"preface_i": secret[0], "preface_r": secret[1]}
        for length in (0, 31, 33):
            comment = f"{name}, DH result of {length} bytes"
            dh = drawn("dh", length)
            add(comment, "keys", refused("length"), **with_flag | {"dh": dh})
        comment = f"{name}, all-zero DH result"
        add(comment, "keys", refused("weak_key"), "low-order", **with_flag | {"dh": bytes(32)})
        add(f"{name}, flag without DH result", "keys", refused("state"), **with_flag)
        comment = f"{name}, DH result without flag"
        add(comment, "keys", refused("state"), **good | {"dh": drawn("dh", 32)})
        for one, other, comment in (
            (pair[0], secret[1], "only the responder has the flag"),
            (secret[0], pair[1], "only the initiator has the flag"),
            (pair[0], flipped(flipped(pair[1], 40), 41), "another algorithm at the responder"),
        ):
            mixed = good | {"preface_i": one, "preface_r": other}
            add(f"{name}, {comment}", "keys", refused("downgrade"), "downgrade", **mixed)


def records():
    for alg, name, size in ALGORITHMS:
        secret = drawn(f"{name} key", 32), drawn(f"{name} base", size)
        good = {"alg": alg, "key": secret[0], "nonce": secret[1], "channel": 2, "epoch": 7}
        record = overlay.Record(alg, *secret, 2, 7)
        plain, seq = drawn("plain", 9), 0x0102030405060708
        wire = record.seal(seq, plain)
        opening = good | {"limit": overlay.LIMIT}
        for bit in range(len(wire) * 8):
            byte, bad = bit // 8, flipped(wire, bit)
            found = "auth"
            if byte < 2:
                found = "type"
            elif 10 <= byte < 14:
                length = struct.unpack(">I", bad[10:14])[0]
                found = "length" if length < 16 else "truncated"
                found = "limit" if length > overlay.LIMIT else found
                found = "length" if 16 <= length < 25 else found
            comment = f"{name} record, bit {bit} flipped"
            add(comment, "record.open", refused(found), "aad", **opening, wire=bad)
        for cut in range(len(wire)):
            comment = f"{name} record cut to {cut}"
            add(comment, "record.open", refused("truncated"), **opening, wire=wire[:cut])
        for other, comment in (
            ({"channel": 0}, "control"),
            ({"channel": 1}, "descriptors"),
            ({"channel": 3}, "repair"),
            ({"epoch": 6}, "the epoch before"),
            ({"epoch": 8}, "the epoch after"),
            ({"key": drawn("other", 32)}, "the other role's key"),
            ({"nonce": drawn("other", size)}, "the other role's nonce base"),
        ):
            comment = f"{name} record opened as {comment}"
            add(comment, "record.open", refused("auth"), **opening | other, wire=wire)
        later = overlay.Record(alg, drawn("71", 32), drawn("71", size), 2, 71)
        comment = f"{name} record of epoch 71, which has the flags of epoch 7"
        rolled = later.seal(seq, plain)
        add(comment, "record.open", refused("auth"), "epoch", **opening, wire=rolled)
        for at, found in ((seq - 1, "state"), (0, "state"), (seq + 1, "replay"), (LAST - 1, "replay")):
            comment = f"{name} record {found}: expected {at}"
            add(comment, "record.open", refused(found), **opening, wire=wire, seq=number(at))
        expect = {"plain": plain.hex(), "seq": number(seq), "channel": 2}
        add(f"{name} record, expected", "record.open", expect, **opening, wire=wire, seq=number(seq))
        frame = b"PF" + struct.pack(">QIB", seq, 25, 30) + drawn("frame", 25)
        comment = f"{name}, a plaintext frame mixed in"
        add(comment, "record.open", refused("auth"), **opening, wire=frame)
        unusable = b"PF" + struct.pack(">QIB", LAST, 25, 30) + wire[15:]
        comment = f"{name}, sequence 2^64-1"
        add(comment, "record.open", refused("nonce_limit"), **opening, wire=unusable)
        comment = f"{name}, sealing sequence 2^64-1"
        add(comment, "record.seal", refused("nonce_limit"), **good, seq=str(LAST), plain=plain)
        for seq in (0, 1, 255, 2**32, 2**53 - 1, 2**53, 2**63, LAST - 1):
            sealed = {"wire": record.seal(seq, plain).hex()}
            comment = f"{name}, sealing sequence {seq}"
            add(comment, "record.seal", sealed, **good, seq=number(seq), plain=plain)
        for channel in range(4):
            for epoch in (0, 63, 64, 2**32 - 1):
                place = {"channel": channel, "epoch": epoch}
                sealed = overlay.Record(alg, *secret, channel, epoch).seal(3, b"")
                comment = f"{name}, an empty record of channel {channel} and epoch {epoch}"
                expect = {"wire": sealed.hex()}
                add(comment, "record.seal", expect, **good | place, seq=3, plain=b"")
                expect = {"plain": "", "seq": 3, "channel": channel}
                add(comment, "record.open", expect, **opening | place, wire=sealed)
        for limit, found in ((15, "limit"), (16, "limit"), (24, "limit"), (25, None)):
            expect = refused(found) if found else {"wire": record.seal(5, plain).hex()}
            sealing = good | {"seq": 5, "plain": plain, "limit": limit}
            add(f"{name}, limit {limit}", "record.seal", expect, **sealing)
        for alg_id in (0, 3, 255):
            other = opening | {"alg": alg_id}
            comment = f"a record under algorithm {alg_id}"
            add(comment, "record.open", refused("type"), "algorithm", **other, wire=wire)
        for channel in (4, 255):
            other = opening | {"channel": channel}
            add(f"{name}, channel {channel}", "record.open", refused("type"), **other, wire=wire)


def windows():
    for base in (0, 5, 1023, 1024, 70000, 2**32, 2**64 - 5000):
        reach = [base + 2000, base + 2000, base + 1999, base + 977, base + 976, base + 977]
        reach += [base + 2001, base + 978, base + 977, base + 3025, base + 2001, base + 2002]
        sequences = reach + [base + 2002, base + 3024, base + 3025]
        window = overlay.Window()
        accepted = [window.accept(seq) for seq in sequences]
        expect = {"accepted": accepted}
        comment = f"edges of the window around {base + 2000}"
        add(comment, "window", expect, "edge", seqs=[number(seq) for seq in sequences])
    draws = struct.unpack(">400H", drawn("window", 800))
    centre, sequences = 10_000, []
    for one in draws:
        centre += one % 97
        sequences.append(centre - one % 1500)
    window = overlay.Window()
    expect = {"accepted": [window.accept(seq) for seq in sequences]}
    add("400 arrivals in disorder", "window", expect, seqs=sequences)


def reference(offset, length, kind=0, value=0):
    found = {"kind": "ref", "offset": number(offset), "length": length}
    found["transform"] = ["none", "xor", "add"][kind]
    return found | ({"value": value} if kind else {})


def objects():
    blob = drawn("blob", 300)
    held = overlay.Held(blob)
    for kind in (1, 2):
        for value in (0, 1, 127, 128, 255):
            data = overlay.rebuild(held, [(7, 250, kind, value)])
            comment = f"transform {kind} by {value}"
            one = [reference(7, 250, kind, value)]
            add(comment, "rebuild", {"object": data.hex()}, blob=blob, descriptors=one)
    for offset, length in ((0, 301), (299, 2), (300, 1), (301, 0), (2**64 - 1, 1), (2**64 - 1, 0)):
        one = [reference(offset, length)]
        comment = f"reference to {length} bytes at {offset} of 300"
        add(comment, "rebuild", refused("length"), blob=blob, descriptors=one)
    one = [reference(2**64 - 2**32 + 1, 2**32 - 1)]
    add("offset and length that wrap to 0", "rebuild", refused("length"), blob=blob, descriptors=one)
    for limit, found in ((99, "limit"), (100, None)):
        expect = refused(found) if found else {"object": blob[:100].hex()}
        one = [reference(0, 100)]
        add(f"limit {limit}", "rebuild", expect, blob=blob, descriptors=one, limit=limit)
    seed = drawn("seed", 32)
    for size in (2**20, 2**38):
        seeded = overlay.Seeded(seed, size)
        for offset in (0, 63, 64, 1000, size // 2 - 1, size - 200, size - 65):
            data = seeded.read(offset, 65)
            one = [reference(offset, 65)]
            comment = f"65 bytes at {offset} of a seeded blob of {size}"
            arguments = {"seed": seed, "size": number(size), "descriptors": one}
            add(comment, "rebuild", {"object": data.hex()}, **arguments)
        one = [reference(size - 64, 65)]
        arguments = {"seed": seed, "size": number(size), "descriptors": one}
        add(f"one byte behind a seeded blob of {size}", "rebuild", refused("length"), **arguments)
    arguments = {"seed": seed, "size": number(2**38 + 1), "descriptors": []}
    add("a seeded blob of more than 256 GiB", "rebuild", refused("limit"), **arguments)
    add("a seed of 31 bytes", "rebuild", refused("length"), **arguments | {"seed": seed[:31]})
    for kind in ("", "copy", "Ref"):
        one = [{"kind": kind, "offset": 0, "length": 1, "transform": "none"}]
        add(f"descriptor of kind {kind!r}", "rebuild", refused("type"), blob=blob, descriptors=one)


def blueprints():
    blob = drawn("blob", 70000)
    held = overlay.Held(blob)
    descriptors = [(0, 65536, 0, 0), b"literal", (1, 0, 0, 0), b"", (69999, 1, 1, 255), (5, 9, 2, 1)]
    described = [
        {"kind": "literal", "bytes": one.hex()} if isinstance(one, bytes) else reference(*one)
        for one in descriptors
    ]
    data = overlay.rebuild(held, descriptors)
    whole = overlay.encode_blueprint(descriptors, data)
    digests = [digest.hex() for digest in overlay.digests(data)]
    expect = {"bytes": whole.hex()}
    comment = "a blueprint of two windows"
    add(comment, "blueprint.encode", expect, blob=blob, descriptors=described)
    expect = {"size": len(data), "descriptors": described, "digests": digests}
    add(comment, "blueprint.decode", expect, bytes=whole)
    for cut in range(len(whole)):
        comment = f"a blueprint cut to {cut}"
        add(comment, "blueprint.decode", refused("truncated"), "blueprint", bytes=whole[:cut])
    for more in (b"\0", bytes(32)):
        comment = f"a blueprint and {len(more)} bytes"
        add(comment, "blueprint.decode", refused("length"), "blueprint", bytes=whole + more)

    def changed(at, new):
        return whole[:at] + new + whole[at + len(new) :]

    for size in (0, len(data) - 1, len(data) + 1, 2**63, LAST):
        bad = changed(0, struct.pack(">Q", size))
        add(f"size {size}", "blueprint.decode", refused("length"), "blueprint", bytes=bad)
    for kind in (2, 127, 255):
        bad = changed(12, bytes([kind]))
        add(f"descriptor {kind}", "blueprint.decode", refused("type"), "blueprint", bytes=bad)
    for kind in (3, 4, 255):
        bad = changed(25, bytes([kind]))
        add(f"transform {kind}", "blueprint.decode", refused("type"), "blueprint", bytes=bad)
    for value in (1, 255):
        bad = changed(26, bytes([value]))
        comment = f"no transform, value {value}"
        add(comment, "blueprint.decode", refused("encoding"), "blueprint", bytes=bad)
    empty = struct.pack(">QI", 0, 2**32 - 1)
    comment = "2^32-1 descriptors and none there"
    add(comment, "blueprint.decode", refused("truncated"), "blueprint", bytes=empty)
    huge = struct.pack(">QI", 2**32 - 1, 1) + b"\0" + struct.pack(">I", 2**32 - 1)
    comment = "a literal of 4 GiB and none there"
    add(comment, "blueprint.decode", refused("truncated"), "blueprint", bytes=huge)
    behind = [reference(69999, 2)]
    comment = "a blueprint of bytes behind the blob"
    add(comment, "blueprint.encode", refused("length"), blob=blob[:300], descriptors=behind)


for part in (prefaces, keys, records, windows, objects, blueprints):
    part()
PATH = pathlib.Path(__file__).resolve().parents[2] / "vectors" / "packetfs" / "edges.json"
HEAD = {"format": 1, "protocol": "packetfs", "component": "edges"}
HEAD["source"] = {"name": "unconfirmed", "version": ""}
HEAD["notes"] = ["By conformance/peers/packetfs/vectors.py, our second implementation."]
LINES = ",\n".join("  " + json.dumps(test) for test in TESTS)
TEXT = json.dumps(HEAD, indent=1)[:-2] + ',\n "tests": [\n' + LINES + "\n ]\n}\n"
PATH.write_text(TEXT)
print(len(TESTS), "vectors in", PATH.name)
