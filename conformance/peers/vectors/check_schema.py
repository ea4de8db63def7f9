"""Checks every vector file against conformance/schema/vectors.schema.json."""

import json
import sys

import jsonschema

from peer import ROOT, VECTORS

if __name__ == "__main__":
    schema = json.loads((ROOT / "conformance" / "schema" / "vectors.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    bad = 0
    files = sorted(VECTORS.rglob("*.json"))
    for path in files:
        for error in validator.iter_errors(json.loads(path.read_text())):
            bad += 1
            print(f"{path.relative_to(ROOT)}: {'/'.join(map(str, error.absolute_path))}: {error.message[:200]}")
    print(f"{len(files)} files, {bad} faults")
    sys.exit(bool(bad) or not files)
