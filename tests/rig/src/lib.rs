//! The test rig: real parts where twotap meets the world, and a wire that misbehaves on request.
//!
//! | part | what it is |
//! | --- | --- |
//! | [`emulator`] | one `ministack` process that checks signatures, key status and policies |
//! | [`proxy`] | our own wire between the SDKs and the emulator: records, loses, delays, repeats, refuses, and adds AWS's limits |
//! | [`policies`] | the shipped policies of `packaging/aws`, rendered, and translated for the emulator |
//! | [`stack`] | the shipped CloudFormation template with its references filled in: rules, topic, queue, buckets, trail |
//! | [`postgres`] | a real PostgreSQL server for a case |
//! | [`secrets`] | secrets in Secrets Manager, and rotation functions that do what a case says |
//! | [`world`] | one AWS account made ready for a case: user, first key, roles, boundary, policies |
//! | [`certificates`] | authorities and certificates by openssl |
//! | [`alerts`] | the alerts that AWS sends on its own, from the shipped templates |
//! | [`client`] | an independent SigV4 client, for assertions that do not trust the code under test |
//! | [`papers`] | an access file and a printed key, as people write and get them |
//! | [`people`] | persons as uids, and a stage of private folders for them |
//! | [`memory`] | looking for secrets in the memory, the arguments and the files of running processes |
//! | [`door`] | systemd's part: the socket that starts a worker as its own uid |
//! | [`site`] | all of it together: an agent host, an account, people with tokens, and the steps that they take |
//! | [`terminal`] | a terminal for a program that asks a person: its screen and its keys |
//! | [`records`] | what every agent of the tests has written, kept to be held to the schema |
//! | [`trail`] | what CloudTrail would record of the calls that pass the proxy |
//! | [`tools`] | where `cargo xtask setup` has put the tools that tests call |
//!
//! The rig depends on neither `twotap` nor PC/SC libraries: what it says about twotap it says from outside. Everything
//! listens on loopback ports that the kernel chose, and everything that a value starts ends with that value.

#![forbid(unsafe_code)]

pub mod alerts;
pub mod certificates;
pub mod client;
pub mod door;
pub mod emulator;
mod error;
mod http;
pub mod memory;
pub mod papers;
pub mod people;
pub mod policies;
pub mod postgres;
pub mod proxy;
pub mod records;
pub mod secrets;
mod sigv4;
pub mod site;
pub mod stack;
pub mod terminal;
pub mod tools;
pub mod trail;
pub mod world;
mod xml;

pub use client::{Client, Credentials, Reply};
pub use door::WorkerDoor;
pub use emulator::Aws;
pub use error::RigError;
pub use people::Stage;
pub use proxy::{Call, Fault, Proxy, Rule, When};
pub use site::Site;
pub use terminal::Terminal;
pub use world::World;
