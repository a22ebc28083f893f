# What a session for u-42 gets of other people's data, by boto3. argv: endpoint. Prints {case: "ok" | error code}.
import json, sys
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
client = lambda name: boto3.client(name, endpoint_url=sys.argv[1], region_name="eu-central-1", config=config)
db, s3 = client("dynamodb"), client("s3")
key = lambda id: {"id": {"S": id}}
query = lambda id: dict(TableName="users", KeyConditionExpression="id = :id", ExpressionAttributeValues={":id": {"S": id}})
B = "example-user-data"
cases = {
    "get own": lambda: db.get_item(TableName="users", Key=key("u-42")),
    "get other": lambda: db.get_item(TableName="users", Key=key("u-43")),
    "get longer": lambda: db.get_item(TableName="users", Key=key("u-421")),
    "batch own": lambda: db.batch_get_item(RequestItems={"users": {"Keys": [key("u-42")]}}),
    "batch both": lambda: db.batch_get_item(RequestItems={"users": {"Keys": [key("u-42"), key("u-43")]}}),
    "query own": lambda: db.query(**query("u-42")),
    "query other": lambda: db.query(**query("u-43")),
    "scan": lambda: db.scan(TableName="users"),
    "put own": lambda: db.put_item(TableName="users", Item=key("u-42")),
    "delete own": lambda: db.delete_item(TableName="users", Key=key("u-42")),
    "other table": lambda: db.get_item(TableName="salaries", Key=key("u-42")),
    "file own": lambda: s3.get_object(Bucket=B, Key="users/u-42/a.txt"),
    "file other": lambda: s3.get_object(Bucket=B, Key="users/u-43/a.txt"),
    "file longer": lambda: s3.get_object(Bucket=B, Key="users/u-421/a.txt"),
    "file put": lambda: s3.put_object(Bucket=B, Key="users/u-42/b.txt", Body=b"x"),
    "file delete": lambda: s3.delete_object(Bucket=B, Key="users/u-42/a.txt"),
    "list own": lambda: s3.list_objects_v2(Bucket=B, Prefix="users/u-42/"),
    "list other": lambda: s3.list_objects_v2(Bucket=B, Prefix="users/u-43/"),
    "list longer": lambda: s3.list_objects_v2(Bucket=B, Prefix="users/u-42"),
    "list all": lambda: s3.list_objects_v2(Bucket=B),
}
found = {}
for name, call in cases.items():
    try:
        call()
        found[name] = "ok"
    except ClientError as error:
        found[name] = error.response["Error"]["Code"]
print(json.dumps(found))
