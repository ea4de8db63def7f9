"""Confirms vectors with outside code: pipes each to a peer and keeps what the peer says."""

import hashlib
import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[3]
VECTORS = ROOT / "conformance" / "vectors"
UNCONFIRMED = {"name": "unconfirmed", "version": ""}


def draw(label, size):
    """Bytes that are the same in every run."""
    return hashlib.shake_256(b"stillwire vectors: " + label.encode()).digest(size)


class Peer:
    """The Go program in go/, built on the way."""

    def __init__(self):
        program = ROOT / "target" / "peers" / "vectors-go"
        subprocess.run(["go", "build", "-o", program, "."], cwd=pathlib.Path(__file__).parent / "go", check=True)
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def confirm(self, test):
        """The source of `test`: who decided its last step as the vector says.

        A peer that gives another value stops the generator. One that accepts what the vector
        refuses must have been foreseen by the flag `rule`.
        """
        self.ask({"op": "reset"})
        bound, by = {}, None
        for step in test["steps"]:
            request = {
                key: bound.get(value[1:], value) if isinstance(value, str) and value[:1] == "$" else value
                for key, value in step["do"].items()
            }
            reply, expect = self.ask(request), step["expect"]
            if reply.get("unsupported"):
                return None
            refused = reply.get("error")
            if ("error" in expect) != (refused is not None):
                if "rule" in test["flags"]:
                    return None
                raise SystemExit(f"{test['comment']}: expected {expect}, the peer says {str(reply)[:300]}")
            by = (refused or reply).get("by", "ours")
            if refused is None:
                for key, value in expect.items():
                    if str(reply.get(key)) != str(value):
                        raise SystemExit(f"{test['comment']}: {key} is {reply.get(key)} at the peer, not {value}")
            for name, key in step.get("bind", {}).items():
                bound[name] = reply[key]
        if by == "ours":
            return None
        name, version = by.rsplit(" ", 1)
        return {"name": name, "version": version}


class File:
    """One vector file in the making."""

    def __init__(self, protocol, component, notes, peer=None, made_by=None):
        self.protocol, self.component, self.notes = protocol, component, notes
        self.peer, self.made_by, self.tests = peer, made_by, []

    def add(self, comment, *steps, negative=None, rule=False, hardened=False, source=None):
        if negative is None:
            negative = "error" in steps[-1]["expect"]
        flags = ["negative" if negative else "positive"]
        if rule:
            flags.append("rule")
        test = {
            "id": f"{self.protocol}-{self.component}-{len(self.tests) + 1:04}",
            "comment": comment,
            "flags": flags,
        }
        if hardened:
            test["profile"] = "hardened"
        test["steps"] = list(steps)
        if source is None and self.peer is not None:
            source = self.peer.confirm(test)
            if source is not None and self.made_by and not negative:
                source = {"name": f"{source['name']}, made with {self.made_by}", "version": source["version"]}
        if source is None:
            flags.append("unconfirmed")
        else:
            flags.append("peer")
            test = {**{k: test[k] for k in ("id", "comment", "flags")}, "source": source, **test}
        self.tests.append(test)

    def write(self):
        path = VECTORS / self.protocol / f"{self.component}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        head = {
            "format": 1,
            "protocol": self.protocol,
            "component": self.component,
            "source": UNCONFIRMED,
            "notes": self.notes,
        }
        lines = ",\n".join(json.dumps(test, separators=(",", ":"), ensure_ascii=True) for test in self.tests)
        text = json.dumps(head, separators=(",", ":"))[:-1] + ',\n"tests":[\n' + lines + "\n]}\n"
        path.write_text(text)
        open_ones = sum("unconfirmed" in test["flags"] for test in self.tests)
        print(f"{path.relative_to(ROOT)}: {len(self.tests)} vectors, {open_ones} unconfirmed")


def step(expect, bind=None, **ask):
    ask["op"] = ask.pop("op")
    out = {"do": {"op": ask.pop("op"), **ask}, "expect": expect}
    if bind:
        out["bind"] = bind
    return out


def fails(kind=None, **ask):
    return step({"error": {"class": kind} if kind else {}}, **ask)
