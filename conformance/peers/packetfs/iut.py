"""Answers the packetfs operations of the conformance page, one JSON object a line:

    stillwire-conformance run --iut 'python iut.py' conformance/vectors/packetfs
"""

import json
import sys

import overlay
from overlay import Fault, need

TRANSFORMS = ["none", "xor", "add"]


def hexed(args, name):
    return bytes.fromhex(args[name])


def number(value):
    return value if value < 2**53 else str(value)


def blob(args):
    if "blob" in args:
        return overlay.Held(hexed(args, "blob"))
    return overlay.Seeded(hexed(args, "seed"), int(args["size"]))


def descriptor(args):
    if args["kind"] == "literal":
        return hexed(args, "bytes")
    need(args["kind"] == "ref" and args["transform"] in TRANSFORMS, "type")
    kind = TRANSFORMS.index(args["transform"])
    value = int(args.get("value", 0) if kind == 0 else args["value"])
    need(value < 256 and (kind or not value), "encoding")
    need(int(args["length"]) < 2**32, "length")
    return int(args["offset"]), int(args["length"]), kind, value


def described(one):
    if isinstance(one, bytes):
        return {"kind": "literal", "bytes": one.hex()}
    offset, length, kind, value = one
    reply = {"kind": "ref", "offset": number(offset), "length": length}
    reply["transform"] = TRANSFORMS[kind]
    return reply | ({"value": value} if kind else {})


def record(args):
    need(int(args["epoch"]) < 2**32, "limit")
    secret = hexed(args, "key"), hexed(args, "nonce")
    return overlay.Record(args["alg"], *secret, args["channel"], int(args["epoch"]))


def keys(args):
    dh = hexed(args, "dh") if "dh" in args else None
    prefaces = hexed(args, "preface_i"), hexed(args, "preface_r")
    schedule = overlay.Schedule(hexed(args, "psk"), *prefaces, dh)
    need(int(args["epoch"]) < 2**32, "limit")
    key, nonce = schedule.key(args["channel"], args["direction"], int(args["epoch"]))
    return {"key": key.hex(), "nonce": nonce.hex()}


def preface_encode(args):
    epk = hexed(args, "epk") if "epk" in args else None
    return {"bytes": overlay.preface(args["alg"], hexed(args, "salt"), epk).hex()}


def preface_decode(args):
    alg, salt, epk = overlay.read_preface(hexed(args, "bytes"))
    return {"alg": alg, "salt": salt.hex()} | ({"epk": epk.hex()} if epk else {})


def record_seal(args):
    limit = int(args.get("limit", overlay.LIMIT))
    return {"wire": record(args).seal(int(args["seq"]), hexed(args, "plain"), limit).hex()}


def record_open(args):
    expected = int(args["seq"]) if "seq" in args else None
    opened = record(args).open(hexed(args, "wire"), int(args["limit"]), expected)
    return {"seq": number(opened[0]), "plain": opened[1].hex(), "channel": args["channel"]}


def window(args):
    window = overlay.Window()
    return {"accepted": [window.accept(int(seq)) for seq in args["seqs"]]}


def rebuild(args):
    descriptors = [descriptor(one) for one in args["descriptors"]]
    limit = int(args["limit"]) if "limit" in args else None
    return {"object": overlay.rebuild(blob(args), descriptors, limit).hex()}


def blueprint_encode(args):
    descriptors = [descriptor(one) for one in args["descriptors"]]
    data = overlay.rebuild(blob(args), descriptors)
    return {"bytes": overlay.encode_blueprint(descriptors, data).hex()}


def blueprint_decode(args):
    size, descriptors, digests = overlay.decode_blueprint(hexed(args, "bytes"))
    return {
        "size": number(size),
        "descriptors": [described(one) for one in descriptors],
        "digests": [digest.hex() for digest in digests],
    }


OPERATIONS = {
    "packetfs.keys": keys,
    "packetfs.preface.encode": preface_encode,
    "packetfs.preface.decode": preface_decode,
    "packetfs.record.seal": record_seal,
    "packetfs.record.open": record_open,
    "packetfs.window": window,
    "packetfs.rebuild": rebuild,
    "packetfs.blueprint.encode": blueprint_encode,
    "packetfs.blueprint.decode": blueprint_decode,
}


def answer(args):
    if args["op"] == "hello":
        names = ["hello", "reset", *OPERATIONS]
        return {"name": "packetfs in Python", "version": "1", "format": 1, "ops": names}
    if args["op"] == "reset":
        return {}
    if args["op"] not in OPERATIONS:
        return {"unsupported": True}
    try:
        return OPERATIONS[args["op"]](args)
    except Fault as fault:
        return {"error": {"class": fault.name}}
    except (KeyError, TypeError, ValueError):
        return {"error": {"class": "encoding"}}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
