//! Compares a ruleset with the policy before the kernel gets it. What makes the ruleset is not trusted, and nothing of it is used here.
//!
//! Source of names, bits and ABIs: landlock(7), `linux/landlock.h`.

use std::os::fd::{AsRawFd as _, RawFd};

use nix::sys::stat::fstat;

use crate::error::Cause;
use crate::linux::narrower;
use crate::plan::SealPlan;

/// A right on files. Its bit is its position in [`FILE_RIGHTS`].
struct Right {
    name: &'static str,
    /// The first ABI that has it.
    abi: i32,
    /// Whether it applies to a file; all apply to a directory.
    of_files: bool,
}

const fn right(name: &'static str, abi: i32, of_files: bool) -> Right {
    Right { name, abi, of_files }
}

const FILE_RIGHTS: [Right; 17] = [
    right("execute", 1, true),
    right("write_file", 1, true),
    right("read_file", 1, true),
    right("read_dir", 1, false),
    right("remove_dir", 1, false),
    right("remove_file", 1, false),
    right("make_char", 1, false),
    right("make_dir", 1, false),
    right("make_reg", 1, false),
    right("make_sock", 1, false),
    right("make_fifo", 1, false),
    right("make_block", 1, false),
    right("make_sym", 1, false),
    right("refer", 2, false),
    right("truncate", 3, true),
    right("ioctl_dev", 5, true),
    right("resolve_unix", 9, true),
];

/// Binding and connecting TCP sockets; abstract sockets and signals. Two rights each, and the first ABI that has them.
const TWO_RIGHTS: u64 = 0b11;
const PORTS_ABI: i32 = 4;
const SCOPES_ABI: i32 = 6;

/// What the kernel is to get: the rights that are handled, and for each rule the descriptor and the rights.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub files: u64,
    pub ports: u64,
    pub scopes: u64,
    pub rules: Vec<(RawFd, u64)>,
}

/// Confirms that a request handles every right of an ABI, and that its rules are the grants of the policy.
pub(super) fn check(request: &Request, plan: &SealPlan<'_>, abi: i32) -> Result<(), Cause> {
    let expected = of_plan(plan, abi)?;
    if *request == expected {
        Ok(())
    } else {
        Err(Cause::RulesetDiffers(format!("{request:x?} instead of {expected:x?}")))
    }
}

fn of_plan(plan: &SealPlan<'_>, abi: i32) -> Result<Request, Cause> {
    let two_from = |first: i32| if abi >= first { TWO_RIGHTS } else { 0 };
    let mut rules = Vec::new();
    for (granted, opened) in plan.policy.grants.iter().zip(plan.grants) {
        let mode = fstat(opened.fd).map_err(Cause::refused("fstat(grant)"))?.st_mode;
        let is_directory = mode & libc::S_IFMT == libc::S_IFDIR;
        let names = granted.access.landlock_rights();
        let given = |right: &Right| {
            names.contains(&right.name) && (is_directory || right.of_files) && narrower::gives(right.name)
        };
        rules.push((opened.fd.as_raw_fd(), bits(abi, given)));
    }
    Ok(Request { files: bits(abi, |_| true), ports: two_from(PORTS_ABI), scopes: two_from(SCOPES_ABI), rules })
}

/// The bits of those rights of an ABI for which something holds.
fn bits(abi: i32, holds: impl Fn(&Right) -> bool) -> u64 {
    let rights = FILE_RIGHTS.iter().enumerate().filter(|(_, right)| right.abi <= abi && holds(right));
    rights.fold(0, |bits, (position, _)| bits | 1 << position)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd as _;

    use super::*;
    use crate::linux::landlock::{Handled, request};
    use crate::plan::Grant;
    use ::landlock::ABI;
    use wave_policy::{Access, FilesystemGrant, Policy};

    /// Calls `then` with a plan that grants a directory and a file with each access.
    fn with_plan(then: impl Fn(&SealPlan<'_>)) {
        let places = ["/", "/proc/self/status"].map(|path| File::open(path).expect("it is there"));
        let all = || places.iter().flat_map(|place| Access::ALL.map(|access| (place, access)));
        let grants: Vec<_> = all().map(|(place, access)| Grant { fd: place.as_fd(), access }).collect();
        let described = all().map(|(_, access)| FilesystemGrant { host: "/".into(), access }).collect();
        let policy = Policy { grants: described, ..Policy::default() };
        then(&SealPlan { grants: &grants, ..SealPlan::new(&policy) });
    }

    #[test]
    fn requests_of_every_abi_are_those_of_the_policy() {
        with_plan(|plan| {
            for abi in 1..=9 {
                let (request, _) = request(plan, &Handled::of(ABI::from(abi)), ABI::from(abi)).expect("open grants");
                check(&request, plan, abi).unwrap_or_else(|cause| panic!("{abi}: {cause}"));
            }
        });
    }

    #[test]
    fn a_request_that_differs_is_refused() {
        with_plan(|plan| {
            let differs = |change: &dyn Fn(&mut Request)| {
                let (mut request, _) = request(plan, &Handled::of(ABI::V7), ABI::V7).expect("open grants");
                change(&mut request);
                assert!(matches!(check(&request, plan, 7), Err(Cause::RulesetDiffers(_))), "{request:x?}");
            };
            differs(&|request| request.files &= !1);
            differs(&|request| request.ports = 1);
            differs(&|request| request.scopes = 0);
            differs(&|request| request.rules.truncate(5));
            differs(&|request| request.rules.push(request.rules[0]));
            differs(&|request| request.rules[0].0 += 1);
            differs(&|request| request.rules[0].1 |= 1 << 1);
            differs(&|request| request.rules.swap(0, 2));
        });
    }
}
