# Teaches the emulator a condition key that it lacks: dynamodb:LeadingKeys, the partition keys that a call names.
# AWS: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
# A call whose keys cannot be told (a Scan, an odd expression) gets no such key, as at AWS a Scan has none.
import json, re
from ministack.core import iam_actions
from ministack.services import dynamodb

_without = iam_actions.dynamodb_service_context


def _partition_key(table, index):
    described = dynamodb._tables.get(table.rsplit("table/", 1)[-1].split("/")[0]) or {}
    schema = described.get("KeySchema", [])
    for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        for one in described.get(kind) or []:
            if index and one.get("IndexName") == index:
                schema = one.get("KeySchema", [])
    return next((k["AttributeName"] for k in schema if k.get("KeyType") == "HASH"), None)


def _text(value):
    return str(next(iter(value.values())))


def _of_keys(table, keys):
    name = _partition_key(table, None)
    return [_text(key[name]) for key in keys if name in key]


def _of_query(data):
    name = _partition_key(data["TableName"], data.get("IndexName"))
    if name in data.get("KeyConditions", {}):
        return [_text(v) for v in data["KeyConditions"][name]["AttributeValueList"]]
    names = data.get("ExpressionAttributeNames") or {}
    for left, right in re.findall(r"(#?[\w.-]+)\s*=\s*(:\w+)", data.get("KeyConditionExpression", "")):
        if names.get(left, left) == name:
            return [_text(data["ExpressionAttributeValues"][right])]
    return []


def _leading_keys(data):
    if "RequestItems" in data:
        return [k for table, wanted in data["RequestItems"].items() for k in _of_keys(table, wanted["Keys"])]
    if "Key" in data:
        return _of_keys(data["TableName"], [data["Key"]])
    if "Item" in data:
        return _of_keys(data["TableName"], [data["Item"]])
    return _of_query(data)


def _with(body):
    context = _without(body)
    try:
        keys = _leading_keys(json.loads(body or b"{}"))
    except (ValueError, LookupError, TypeError, AttributeError):
        keys = []
    if keys:
        context["dynamodb:LeadingKeys"] = keys
    return context


iam_actions.dynamodb_service_context = _with
