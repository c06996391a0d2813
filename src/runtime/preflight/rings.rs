//! Whether glommio can run: io_uring and locked memory.
//!
//! Invariants: what is missing is said in one line with its cure, because glommio would panic with a misleading text;
//! what is tried is what the shards will make, all of it at once. Never here: what is done about a refusal.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::io_uring::{
    IoringEnterFlags, IoringRegisterOp, io_uring_enter, io_uring_params, io_uring_register, io_uring_setup,
};
use rustix::process::Resource;

use crate::limits::{MEMLOCK_BYTES_MIN, RING_ENTRIES, RINGS_PER_SHARD};

/// The last operation that glommio 0.9.0 asks for, `IORING_OP_RECV`; kernels that have it have the others.
const LAST_OPERATION: usize = 27;

/// Whether glommio can run `shards` shards here. Raises the limit on locked memory to the hard one.
///
/// # Errors
/// One line that says what is missing and how to mend it.
pub(crate) fn io_uring(shards: usize) -> Result<(), String> {
    let locked = super::raised(Resource::Memlock);
    if locked < MEMLOCK_BYTES_MIN {
        return Err(memlock_line(locked));
    }
    let disabled = || std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok();
    let rings: Result<Vec<OwnedFd>, Errno> = (0..shards * RINGS_PER_SHARD).map(|_| probe()).collect();
    rings.map(drop).map_err(|errno| io_uring_line(errno, disabled().as_deref()))
}

/// Makes a ring as a shard will, and calls what a shard will call: a profile may grant one call and refuse another, and
/// some sandboxes know only a few operations.
#[allow(unsafe_code, reason = "the system calls take raw structures; they live until each call is over")]
fn probe() -> Result<OwnedFd, Errno> {
    let mut params = io_uring_params::default();
    // SAFETY: the only condition is that `wq_fd` is open when ATTACH_WQ is set, and no flag is set.
    let ring = unsafe { io_uring_setup(RING_ENTRIES, &mut params) }?;
    // A head of 16 bytes and 8 an operation, of which the third has the flag "supported" in its lowest bit.
    let mut operations = [0_u64; 2 + LAST_OPERATION + 1];
    let count = u32::try_from(LAST_OPERATION + 1).expect("it is small");
    // SAFETY: the kernel writes the head and at most `count` operations, and all of them fit.
    unsafe { io_uring_register(&ring, IoringRegisterOp::RegisterProbe, operations.as_mut_ptr().cast(), count) }?;
    if operations[2..].iter().any(|operation| operation.to_ne_bytes()[2] & 1 == 0) {
        return Err(Errno::NOSYS);
    }
    // SAFETY: nothing is submitted, and nothing is waited for.
    unsafe { io_uring_enter(&ring, 0, 0, IoringEnterFlags::empty()) }?;
    Ok(ring)
}

fn memlock_line(bytes: u64) -> String {
    format!(
        "locked memory is limited to {} KiB and io_uring needs {} KiB: raise it with `ulimit -l 8192`, \
         LimitMEMLOCK=8M (systemd) or --ulimit memlock=8388608 (docker)",
        bytes / 1024,
        MEMLOCK_BYTES_MIN / 1024
    )
}

/// Why the kernel refused a ring, and what to do. `disabled` is the content of `kernel.io_uring_disabled`.
fn io_uring_line(errno: Errno, disabled: Option<&str>) -> String {
    match (errno, disabled.map(str::trim)) {
        (Errno::PERM, Some("1")) => "io_uring is refused: kernel.io_uring_disabled is 1, so only members of \
             kernel.io_uring_group may use it: `sysctl kernel.io_uring_disabled=0`, or add this user's group there"
            .into(),
        (Errno::PERM, Some("2")) => {
            "io_uring is refused: kernel.io_uring_disabled is 2: `sysctl kernel.io_uring_disabled=0`".into()
        }
        (Errno::PERM | Errno::ACCESS, _) => {
            "io_uring is refused by a seccomp or security profile: in a container run with \
             --security-opt seccomp=docker/seccomp.json, under systemd allow @aio"
                .into()
        }
        (Errno::NOSYS, _) => "io_uring is missing: it needs Linux 5.8 or later built with CONFIG_IO_URING (gVisor and \
             WSL 1 have none), or a seccomp profile hides it: docker/seccomp.json allows it"
            .into(),
        (Errno::NOMEM, _) => {
            "io_uring got no memory: raise locked memory with `ulimit -l 8192`, LimitMEMLOCK=8M (systemd) or \
             --ulimit memlock=8388608 (docker), or give the container more memory"
                .into()
        }
        (Errno::MFILE | Errno::NFILE, _) => "io_uring got no file descriptor: raise `ulimit -n`".into(),
        (errno, _) => format!("io_uring is refused: {errno}"),
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::{io_uring, io_uring_line, memlock_line};

    #[test]
    fn this_machine_grants_the_rings_of_some_shards() {
        assert_eq!(io_uring(4), Ok(()), "the tests need io_uring");
    }

    #[test]
    fn each_refusal_is_one_line_with_its_cure() {
        let check = |errno, disabled, word: &str| {
            let line = io_uring_line(errno, disabled);
            assert!(line.contains(word) && !line.contains('\n'), "{line}");
            assert!(!line.contains("  "), "{line}");
        };
        check(Errno::PERM, Some("0\n"), "seccomp=docker/seccomp.json");
        check(Errno::PERM, None, "seccomp");
        check(Errno::PERM, Some("1\n"), "io_uring_group");
        check(Errno::PERM, Some("2\n"), "sysctl kernel.io_uring_disabled=0");
        check(Errno::NOSYS, None, "5.8");
        check(Errno::NOMEM, None, "ulimit -l");
        check(Errno::MFILE, None, "ulimit -n");
        check(Errno::INVAL, None, "refused");
        assert!(memlock_line(65_536).contains("64 KiB"));
    }
}
