"""Says of each line on standard input whether it keeps to a JSON Schema: 'ok', or why not. Usage: validate.py SCHEMA"""
import json
import sys

from jsonschema import Draft202012Validator

with open(sys.argv[1], encoding="utf-8") as file:
    schema = json.load(file)
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)
for line in sys.stdin:
    errors = [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}" for e in validator.iter_errors(json.loads(line))]
    print(" | ".join(errors) or "ok")
