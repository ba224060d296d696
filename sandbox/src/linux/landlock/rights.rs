//! The Landlock rights of a grant.

use ::landlock::{ABI, Access as _, AccessFs, BitFlags, make_bitflags};
use nix::sys::stat::{FileStat, fstat};
use wave_policy::Access;

use crate::error::Cause;
use crate::linux::narrower;
use crate::plan::Grant;

/// The rights of a grant that this ABI has, for a directory or for a file.
pub(super) fn of_grant(grant: &Grant<'_>, abi: ABI) -> Result<BitFlags<AccessFs>, Cause> {
    let metadata = fstat(grant.fd).map_err(Cause::refused("fstat(grant)"))?;
    let known = if is_directory(&metadata) { AccessFs::from_all(abi) } else { AccessFs::from_file(abi) };
    let given = of_access(grant.access) & known;
    let given = given.iter().filter(|right| narrower::gives(&name_of(*right))).collect();
    Ok(given)
}

/// The rights of an access. None of them executes programs, controls devices, or makes devices, sockets or pipes.
pub(super) fn of_access(access: Access) -> BitFlags<AccessFs> {
    let read = make_bitflags!(AccessFs::{ReadFile | ReadDir});
    let add = make_bitflags!(AccessFs::{WriteFile | MakeReg | MakeDir});
    let change = make_bitflags!(AccessFs::{Truncate | RemoveFile | RemoveDir | MakeSym | Refer});
    match access {
        Access::ReadOnly => read,
        Access::Append => read | add,
        Access::ReadWrite => read | add | change,
    }
}

fn is_directory(metadata: &FileStat) -> bool {
    metadata.st_mode & libc::S_IFMT == libc::S_IFDIR
}

/// The name of a right in landlock(7).
fn name_of(right: AccessFs) -> String {
    let name = format!("{right:?}");
    let snake = |(at, c): (usize, char)| match c.is_uppercase() && at > 0 {
        true => format!("_{}", c.to_ascii_lowercase()),
        false => c.to_ascii_lowercase().to_string(),
    };
    name.chars().enumerate().map(snake).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_access_runs_programs_or_controls_devices() {
        let never = make_bitflags!(AccessFs::{
            Execute | IoctlDev | MakeChar | MakeBlock | MakeSock | MakeFifo | ResolveUnix
        });
        for access in [Access::ReadOnly, Access::Append, Access::ReadWrite] {
            assert!((of_access(access) & never).is_empty(), "{access}");
        }
    }

    #[test]
    fn policy_files_name_the_rights_that_are_given() {
        for access in [Access::ReadOnly, Access::Append, Access::ReadWrite] {
            let mut given: Vec<_> = of_access(access).iter().map(name_of).collect();
            let mut named = access.landlock_rights().to_vec();
            given.sort_unstable();
            named.sort_unstable();
            assert_eq!(given, named, "{access}");
        }
    }

    #[test]
    fn read_only_has_no_right_to_write() {
        assert!((of_access(Access::ReadOnly) & AccessFs::from_write(ABI::V9)).is_empty());
    }

    #[test]
    fn append_cannot_remove_or_truncate() {
        let removing = make_bitflags!(AccessFs::{RemoveFile | RemoveDir | Truncate | Refer});
        assert!((of_access(Access::Append) & removing).is_empty());
    }
}
