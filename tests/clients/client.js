// A program of an operator's, with the AWS SDK for JavaScript: identity, allowed, refused.
const { STSClient, GetCallerIdentityCommand } = require("@aws-sdk/client-sts");
const { S3Client, ListBucketsCommand, CreateBucketCommand } = require("@aws-sdk/client-s3");

const asked = {
  identity: async () => (await new STSClient({}).send(new GetCallerIdentityCommand({}))).Arn,
  allowed: async () => `${((await new S3Client({}).send(new ListBucketsCommand({}))).Buckets ?? []).length} buckets`,
  refused: async () => {
    await new S3Client({}).send(new CreateBucketCommand({ Bucket: "twotap-refused" }));
    return "made";
  },
}[process.argv[2]];

asked().then(
  (answer) => console.log(answer),
  (why) => {
    console.error(`${why.name}: ${why.message}`);
    process.exitCode = 1;
  },
);
