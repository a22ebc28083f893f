//! The walls between the parts of the product, held by reading every file under `src`.
//!
//! Each rule is a function over files that answers what breaks it. It is asked twice: of the tree, where it must find nothing, and of a few
//! made-up lines, where it must find what they break; so no rule can go blind unnoticed.

#[path = "architecture/house.rs"]
mod house;
#[path = "architecture/promises.rs"]
mod promises;
#[path = "architecture/secrets.rs"]
mod secrets;
#[path = "architecture/source.rs"]
mod source;
#[path = "architecture/walls.rs"]
mod walls;
