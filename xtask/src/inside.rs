//! A command that runs inside another: behind `unshare`, behind `setpriv`.

use std::process::Command;

/// `outer` with the program of `inner` and its arguments at the end, in the folder and with the environment that `inner` asks for. Arguments may
/// still be added.
pub(crate) fn run(mut outer: Command, inner: &Command) -> Command {
    outer.arg(inner.get_program()).args(inner.get_args());
    if let Some(folder) = inner.get_current_dir() {
        outer.current_dir(folder);
    }
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}
