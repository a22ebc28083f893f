//! The system calls of a worker: a list, and nothing else.
//!
//! Two filters stand one above the other, and the stricter answer wins: starting a program and tracing a process kill the worker;
//! whatever else is not listed answers `ENOSYS`, so that a library that tries a new call falls back instead of dying at 3 a.m.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

use crate::{
    fail,
    protocol::{Code, Problem},
};

/// Nothing in a worker has a reason for these.
const DEADLY: &[libc::c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
];

/// What the runtime, the resolver, TLS and the files of the vault need.
const ALLOWED: &[libc::c_long] = &[
    // Files.
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_lseek,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_getdents64,
    libc::SYS_readlinkat,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_symlinkat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_getcwd,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fcntl,
    libc::SYS_ioctl,
    libc::SYS_umask,
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_mlock,
    libc::SYS_munlock,
    // Threads, time, waiting (the resolver runs on a thread).
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_tgkill,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_restart_syscall,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_prctl,
    libc::SYS_prlimit64,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    // Network and events.
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_shutdown,
    libc::SYS_ppoll,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
];

/// Calls that only some architectures have.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[libc::c_long] = &[
    libc::SYS_poll,
    libc::SYS_epoll_wait,
    libc::SYS_rename,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_readlink,
    libc::SYS_symlink,
    libc::SYS_access,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_open,
    libc::SYS_chmod,
    libc::SYS_time,
    libc::SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[libc::c_long] = &[];

/// What begins a connection, or waits for one. What goes over connections that are there already stays.
const NETWORK: &[libc::c_long] = &[libc::SYS_socket, libc::SYS_connect, libc::SYS_bind];

/// Installs both filters for this thread and all that it starts.
pub(super) fn install() -> Result<(), Problem> {
    both(&[])
}

/// The same, with no way to begin a connection.
pub(super) fn install_without_network() -> Result<(), Problem> {
    both(NETWORK)
}

fn both(without: &[libc::c_long]) -> Result<(), Problem> {
    let enosys = SeccompAction::Errno(libc::ENOSYS as u32);
    let mut allowed: Vec<libc::c_long> = [ALLOWED, ALLOWED_HERE, fail::SYSTEM_CALLS].concat();
    allowed.retain(|call| !without.contains(call));
    // This order: the list does not hold the call that installs filters.
    apply(DEADLY, SeccompAction::Allow, SeccompAction::KillProcess)?;
    apply(&allowed, enosys, SeccompAction::Allow)
}

fn apply(
    calls: &[libc::c_long],
    otherwise: SeccompAction,
    listed: SeccompAction,
) -> Result<(), Problem> {
    let failed =
        |why: &dyn std::fmt::Display| Problem::new(Code::Internal, format!("seccomp: {why}"));
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|why| failed(&why))?;
    let rules: BTreeMap<i64, Vec<_>> = calls.iter().map(|&call| (call, vec![])).collect();
    let program: BpfProgram = SeccompFilter::new(rules, otherwise, listed, arch)
        .and_then(TryInto::try_into)
        .map_err(|why| failed(&why))?;
    seccompiler::apply_filter(&program).map_err(|why| failed(&why))
}
