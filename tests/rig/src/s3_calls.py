# Calls S3 as the stock SDK for Python does: a list of {"call": "put_object", "with": {...}, "headers": {...}} on standard
# input, a list of {"ok": ..., "answer": {...}} or {"ok": false, "code": ...} on standard output. Headers are added before
# the request is signed, for what the SDK has no parameter for.
import json, sys
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1})
client = boto3.client("s3", config=config)
headers = {}
client.meta.events.register("before-sign.s3", lambda request, **_: [request.headers.add_header(*h) for h in headers.items()])


def plain(value):
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k not in ("ResponseMetadata", "Body")}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


said = []
for one in json.load(sys.stdin):
    headers = one.get("headers", {})
    try:
        said.append({"ok": True, "answer": plain(getattr(client, one["call"])(**one["with"]))})
    except ClientError as why:
        said.append({"ok": False, "code": why.response["Error"]["Code"]})
json.dump(said, sys.stdout)
