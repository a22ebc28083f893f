"""Answers for each folder, a line each, what packaging/verify.py finds in it."""
import json
import sys

sys.path.insert(0, sys.argv[1])
from verify import verify

for folder in sys.stdin:
    events, (proven, by), epochs, bad = verify(folder.rstrip("\n"))
    answer = {"events": events, "proven": proven, "by": by, "epochs": [n for n, _ in epochs], "bad": bad[0] if bad else None}
    print(json.dumps(answer), flush=True)
