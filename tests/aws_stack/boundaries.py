"""Adds to what `aws iam get-account-authorization-details` prints the permissions boundary of each of twotap's roles, which AWS tells there
and the emulator tells in GetRole alone."""

import json
import sys

import boto3

iam = boto3.client("iam")
details = json.load(sys.stdin)
for role in details.get("RoleDetailList", []):
    if role["Path"] == "/twotap/":
        boundary = iam.get_role(RoleName=role["RoleName"])["Role"].get("PermissionsBoundary")
        if boundary:
            role["PermissionsBoundary"] = boundary
json.dump(details, sys.stdout)
