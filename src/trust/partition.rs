//! The partitions of AWS, and where each has its one IAM.

/// A partition of AWS: its DNS suffix, and the host and signing Region of IAM, which has one control plane a partition.
#[derive(Debug)]
pub struct Partition {
    /// As ARNs have it: `aws`, `aws-us-gov`, `aws-cn`, `aws-eusc`.
    pub name: &'static str,
    /// What the names of its hosts end in.
    pub suffix: &'static str,
    /// IAM's host.
    pub iam_host: &'static str,
    /// The Region whose name signs requests to IAM, and the only one where its events are seen; in `aws` those of the global STS
    /// endpoint too.
    pub iam_region: &'static str,
}

/// The partitions that are known. Source: AWS General Reference, 'IAM endpoints'; the isolated
/// partitions need clients from inside and are left out.
pub const PARTITIONS: [Partition; 4] = [
    Partition {
        name: "aws",
        suffix: "amazonaws.com",
        iam_host: "iam.amazonaws.com",
        iam_region: "us-east-1",
    },
    Partition {
        name: "aws-us-gov",
        suffix: "amazonaws.com",
        iam_host: "iam.us-gov.amazonaws.com",
        iam_region: "us-gov-west-1",
    },
    Partition {
        name: "aws-cn",
        suffix: "amazonaws.com.cn",
        iam_host: "iam.cn-north-1.amazonaws.com.cn",
        iam_region: "cn-north-1",
    },
    Partition {
        name: "aws-eusc",
        suffix: "amazonaws.eu",
        iam_host: "iam.eusc-de-east-1.amazonaws.eu",
        iam_region: "eusc-de-east-1",
    },
];

/// The partition of this name, if it is known.
pub fn named(name: &str) -> Option<&'static Partition> {
    PARTITIONS.iter().find(|partition| partition.name == name)
}
