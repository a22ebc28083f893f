//! What people see: the live view, its terminal given back, and that nothing is waited for in silence.
//!
//! Screens are those of a real tmux, 80 columns and 24 rows, and are kept under `tests/screens/`, with times masked. `TWOTAP_REMAKE=1` draws
//! them anew.

#[path = "screens/live.rs"]
mod live;
#[path = "screens/papers.rs"]
mod papers;
#[path = "screens/silence.rs"]
mod silence;
#[path = "screens/snapshot.rs"]
mod snapshot;
#[path = "screens/standin.rs"]
mod standin;
#[path = "screens/tmux.rs"]
mod tmux;
