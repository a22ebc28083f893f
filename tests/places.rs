//! Places: copies of what is sealed, the claim that decides between two hosts, and a host that stands by.

mod support;

#[path = "places/burnt.rs"]
mod burnt;
#[path = "places/claim.rs"]
mod claim;
#[path = "places/copies.rs"]
mod copies;
#[path = "places/faults.rs"]
mod faults;
#[path = "places/pair.rs"]
mod pair;
#[path = "places/standby.rs"]
mod standby;
