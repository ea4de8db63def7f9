"""noise/*.json: the published vectors of snow's and flynn's suites, as facts.

Usage: published.py SNOW FLYNN, the folders of snow 0.10.0 and of flynn/noise v1.1.0. Only their
data files are read: tests/vectors/*.txt (JSON) and vectors.txt.
"""

import json
import pathlib
import sys

from peer import File, step

PROFILES = {
    "Noise_NN_25519_AESGCM_SHA256": "nn",
    "Noise_NNpsk0_25519_AESGCM_SHA256": "nnpsk0",
    "Noise_NK_25519_AESGCM_SHA256": "nk",
}
LIMIT = 4_194_304


def add(out, comment, profile, e_i, e_r, prologue, psk, s, messages, hash_, source):
    keys = {}
    if psk:
        keys["psk"] = psk
    if s:
        keys["s"] = s
    expect = {"messages": [message["ciphertext"] for message in messages[:2]]}
    if hash_:
        expect["hash"] = hash_
    steps = [step(expect, {"i2r": "i2r", "r2i": "r2i"}, op="noise.handshake", profile=profile, prologue=prologue,
                  e_i=e_i, e_r=e_r, payloads=[message["payload"] for message in messages[:2]], **keys)]
    for at, message in enumerate(messages[2:]):
        sealed = message["ciphertext"]
        wire = (len(sealed) // 2).to_bytes(4, "big").hex() + sealed
        key = ("$i2r", "$r2i")[at % 2]
        steps.append(step({"wire": wire}, op="aznet.chunk.seal", key=key, n=at // 2, plain=message["payload"], limit=LIMIT))
        steps.append(step({"plain": message["payload"]}, op="aznet.chunk.open", key=key, n=at // 2, wire=wire, limit=LIMIT))
    out.add(comment, *steps, hardened=profile != "nn", source=source)


def snow(folder):
    out = File("noise", "snow", ["every vector for NN, NNpsk0 and NK with 25519, AESGCM and SHA256 in the suite of snow 0.10.0 (its own, and cacophony's)",
                                 "messages after the second are checked as chunks, which are Noise transport messages behind a length"])
    for name in ("cacophony.txt", "snow.txt", "snow-extended.txt"):
        for vector in json.loads((folder / "tests" / "vectors" / name).read_text())["vectors"]:
            profile = PROFILES.get(vector["protocol_name"])
            if profile is None or "fail" in vector:
                continue
            assert vector["init_prologue"] == vector["resp_prologue"]
            psks = vector.get("init_psks") or [None]
            add(out, f"{vector['protocol_name']} in {name}", profile, vector["init_ephemeral"], vector["resp_ephemeral"],
                vector["init_prologue"], psks[0], vector.get("resp_static"), vector["messages"],
                vector.get("handshake_hash"), {"name": f"snow, {name}", "version": "0.10.0"})
    out.write()


def flynn(folder):
    out = File("noise", "flynn", ["every vector for NN, NNpsk0 and NK with 25519, AESGCM and SHA256 in the suite of flynn/noise v1.1.0",
                                  "messages after the second are checked as chunks, which are Noise transport messages behind a length"])
    for block in (folder / "vectors.txt").read_text().split("\n\n"):
        fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        profile = PROFILES.get(fields.get("handshake"))
        if profile is None:
            continue
        count = sum(key.endswith("_payload") for key in fields)
        messages = [{"payload": fields[f"msg_{at}_payload"], "ciphertext": fields[f"msg_{at}_ciphertext"]} for at in range(count)]
        add(out, fields["handshake"], profile, fields["gen_init_ephemeral"], fields["gen_resp_ephemeral"],
            fields.get("prologue", ""), fields.get("preshared_key"), fields.get("resp_static"), messages, None,
            {"name": "flynn/noise, vectors.txt", "version": "1.1.0"})
    out.write()


if __name__ == "__main__":
    snow(pathlib.Path(sys.argv[1]))
    flynn(pathlib.Path(sys.argv[2]))
