"""A program of an operator's, with boto3: identity, allowed, refused; or stay, which asks, waits for a line, and asks again."""
import sys

import boto3


def ask(what):
    if what == "identity":
        return boto3.client("sts").get_caller_identity()["Arn"]
    if what == "allowed":
        return "%d buckets" % len(boto3.client("s3").list_buckets()["Buckets"])
    if what == "refused":
        return "%d users" % len(boto3.client("iam").list_users()["Users"])
    raise SystemExit("say identity, allowed, refused or stay")


if sys.argv[1] == "stay":
    s3 = boto3.client("s3")
    s3.list_buckets()
    print("ready", flush=True)
    sys.stdin.readline()
    s3.list_buckets()
else:
    print(ask(sys.argv[1]))
