//! Users and groups: who the process becomes.

use std::fmt;
use std::io;
use std::ops::RangeInclusive;

use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::unistd::{Gid, Uid, getgroups, getresgid, getresuid, setgroups, setresgid, setresuid};
use wave_policy::Identity;

use super::sys;
use crate::error::Cause;

/// Ids that no account has and no service manager assigns: a part of 1879048192 to 2147352575, which systemd leaves unused. Source: systemd, `docs/UIDS-GIDS.md`.
const UNUSED: RangeInclusive<u32> = 1_900_000_000..=2_099_999_999;

/// The owner that a file shows if its real owner has no number in this namespace. The process must not become this user.
const OVERFLOW_ID: u32 = 65534;

/// The name of the step that reads the ids of the namespace.
pub(crate) const READ_UID_MAP: &str = "read(/proc/self/uid_map)";

/// Almost all ids are unused. If so many in a row are used, something else is wrong.
const ATTEMPTS: usize = 32;

/// The identity of the process after the change.
#[derive(Debug)]
pub(crate) struct Assumed {
    identity: Identity,
    detail: String,
}

impl fmt::Display for Assumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {}, gid {}, {}", self.identity.uid, self.identity.gid, self.detail)
    }
}

/// Becomes the wanted user and group, or unused ones if the process is root. Its supplementary groups are `others` afterwards.
pub(crate) fn assume(wanted: Option<Identity>, others: &[u32]) -> Result<Assumed, Cause> {
    let (identity, kind) = choose(wanted)?;
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    let users = getresuid().map_err(Cause::refused("getresuid"))?;
    let groups = getresgid().map_err(Cause::refused("getresgid"))?;
    let changes_user = ![users.real, users.effective, users.saved].contains(&uid);
    let changes_group = ![groups.real, groups.effective, groups.saved].contains(&gid);
    if let Some(missing) = missing_capabilities(changes_user, changes_group) {
        return Err(if is_root()? { Cause::RootWithout(missing) } else { Cause::NotRoot });
    }
    let others = match others {
        [] => drop_groups(identity.uid == 0 || !is_root()?)?,
        wanted => set_groups(wanted)?,
    };
    // The group first: the change of the user takes away the right to change it.
    setresgid(gid, gid, gid).map_err(Cause::refused("setresgid"))?;
    setresuid(uid, uid, uid).map_err(Cause::refused("setresuid"))?;
    Ok(Assumed { identity, detail: format!("{kind}; {others}") })
}

/// Refuses root as the wanted identity. That is a mistake in the policy, not a missing layer.
pub(crate) fn refuse_root(wanted: Option<Identity>) -> Result<(), Cause> {
    if wanted.is_some_and(|identity| identity.uid == 0 || identity.gid == 0) { Err(Cause::NamedRoot) } else { Ok(()) }
}

fn choose(wanted: Option<Identity>) -> Result<(Identity, &'static str), Cause> {
    if let Some(identity) = wanted {
        return Ok((identity, "named by the policy"));
    }
    if !is_root()? {
        let own = Identity { uid: nix::unistd::getuid().as_raw(), gid: nix::unistd::getgid().as_raw() };
        // Users of a container usually have the group 0. It owns files like any other group and has no power of root.
        if own.gid != 0 {
            return Ok((own, "the user's own"));
        }
        return Ok(match unused_identity() {
            Ok(Some(unused)) if has_capability(Capability::CAP_SETGID) => {
                (Identity { gid: unused.gid, ..own }, "the user's own, in a group used by nobody")
            }
            _ => (own, "the user's own; group 0 kept for want of CAP_SETGID"),
        });
    }
    match (unused_identity(), missing_capabilities(true, true)) {
        (_, Some(_)) if is_root_of_namespace_only().unwrap_or(false) => Ok((
            Identity { uid: 0, gid: 0 },
            "root of a user namespace without CAP_SETUID or CAP_SETGID, nobody's root outside",
        )),
        (_, Some(missing)) => Err(Cause::RootWithout(missing)),
        (found, None) => choose_unused(found),
    }
}

fn choose_unused(found: io::Result<Option<Identity>>) -> Result<(Identity, &'static str), Cause> {
    match found {
        Ok(Some(identity)) => Ok((identity, "used by nobody")),
        Ok(None) if is_root_of_namespace_only()? => {
            Ok((Identity { uid: 0, gid: 0 }, "root of a user namespace that maps no other id, nobody's root outside"))
        }
        Ok(None) => Err(Cause::Root("there is no unused user to become")),
        Err(source) => Err(Cause::Refused { call: READ_UID_MAP, source }),
    }
}

/// Whether one of the real, effective and saved user ids is root's.
fn is_root() -> Result<bool, Cause> {
    let users = getresuid().map_err(Cause::refused("getresuid"))?;
    Ok([users.real, users.effective, users.saved].iter().any(|id| id.is_root()))
}

/// Which capabilities are missing to become another user, or to change to another group.
fn missing_capabilities(user: bool, group: bool) -> Option<&'static str> {
    match (user && !has_capability(Capability::CAP_SETUID), group && !has_capability(Capability::CAP_SETGID)) {
        (false, false) => None,
        (true, false) => Some("CAP_SETUID"),
        (false, true) => Some("CAP_SETGID"),
        (true, true) => Some("CAP_SETUID and CAP_SETGID"),
    }
}

/// Who this process would become if the policy names nobody, or why it cannot.
pub(crate) fn describe_default() -> Result<String, Cause> {
    let (identity, kind) = choose(None)?;
    match identity.uid == nix::unistd::getuid().as_raw() {
        true => Ok(format!("uid {}, gid {}, {kind}", identity.uid, identity.gid)),
        false => Ok(format!("root, which becomes a user and a group {kind}")),
    }
}

/// An identity for a process that this one must be able to kill. `None` unless this one is root without `CAP_KILL`.
pub(crate) fn killable() -> Option<Identity> {
    let powerless = is_root().unwrap_or(false) && !has_capability(Capability::CAP_KILL);
    powerless.then(unused_identity)?.ok()?
}

/// Performs an action with another real user id, which gives the right to signal that user's processes (kill(2)). Needs
/// `CAP_SETUID`.
pub(crate) fn with_real_user<T>(uid: u32, action: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    let unchanged = Uid::from_raw(u32::MAX);
    let before = nix::unistd::getuid();
    setresuid(Uid::from_raw(uid), unchanged, unchanged)?;
    let outcome = action();
    setresuid(before, unchanged, unchanged)?;
    outcome
}

fn has_capability(capability: Capability) -> bool {
    // If the set cannot be read, the step that needs the capability fails and says why.
    caps::has_cap(None, CapSet::Effective, capability).unwrap_or(true)
}

/// Sets the supplementary groups.
fn set_groups(wanted: &[u32]) -> Result<String, Cause> {
    let groups: Vec<_> = wanted.iter().copied().map(Gid::from_raw).collect();
    setgroups(&groups).map_err(Cause::refused("setgroups"))?;
    Ok(format!("{} other groups, as named", groups.len()))
}

/// Clears the supplementary groups. `optional`: if the process may not clear them, it keeps them, and the report says so.
fn drop_groups(optional: bool) -> Result<String, Cause> {
    match setgroups(&[]) {
        Ok(()) => Ok("no other groups".to_owned()),
        Err(Errno::EPERM) if optional => {
            let kept = getgroups().map_err(Cause::refused("getgroups"))?.len();
            Ok(format!("{kept} other groups, kept for want of CAP_SETGID"))
        }
        Err(errno) => Err(Cause::refused("setgroups")(errno)),
    }
}

impl Assumed {
    /// Reads all ids back, and tries to become root again.
    pub(crate) fn confirm(&self) -> Result<(), Cause> {
        let users = getresuid().map_err(Cause::refused("getresuid"))?;
        let groups = getresgid().map_err(Cause::refused("getresgid"))?;
        let Identity { uid, gid } = self.identity;
        let users_match = [users.real, users.effective, users.saved] == [Uid::from_raw(uid); 3];
        let groups_match = [groups.real, groups.effective, groups.saved] == [Gid::from_raw(gid); 3];
        if !users_match || !groups_match {
            return Err(Cause::StillThere("another user or group id"));
        }
        let root = Uid::from_raw(0);
        if uid != 0 && setresuid(root, root, root).is_ok() {
            return Err(Cause::StillThere("the way back to root"));
        }
        Ok(())
    }
}

/// A user and a group that no process uses: random ids from 1900000000 to 2099999999. In a user namespace that does not map these,
/// they are from the upper half of the largest range that it maps. `None` if it maps no such id.
///
/// # Errors
/// If `/proc/self/uid_map` or `gid_map` cannot be read, or the kernel gives no random numbers.
pub fn unused_identity() -> io::Result<Option<Identity>> {
    let users = unused_ids(&read_map("/proc/self/uid_map")?);
    let groups = unused_ids(&read_map("/proc/self/gid_map")?);
    let (Some(users), Some(groups)) = (users, groups) else { return Ok(None) };
    for _ in 0..ATTEMPTS {
        let uid = random_id(&users)?;
        if uid != OVERFLOW_ID && !sys::user_has_process(uid) {
            let gid = if groups.contains(&uid) { uid } else { random_id(&groups)? };
            return Ok(Some(Identity { uid, gid }));
        }
    }
    Ok(None)
}

/// A map of ids. Without /proc it is assumed to be that of the first namespace; if it is another one, the kernel refuses the ids.
fn read_map(path: &str) -> io::Result<String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok("0 0 4294967295".to_owned()),
        map => map,
    }
}

fn random_id(range: &RangeInclusive<u32>) -> io::Result<u32> {
    let count = range.end() - range.start() + 1;
    Ok(range.start() + sys::random_u32()? % count)
}

/// A range of ids that are usually unused, given an id map: lines of first id inside, first id outside, count.
///
/// Source: user_namespaces(7).
fn unused_ids(map: &str) -> Option<RangeInclusive<u32>> {
    let ranges = map.lines().filter_map(parse_line);
    let largest = ranges.map(|(inside, _, count)| (inside, count)).max_by_key(|(_, count)| *count)?;
    let (first, last) = (largest.0, largest.0 + (largest.1 - 1));
    if first <= *UNUSED.start() && last >= *UNUSED.end() {
        return Some(UNUSED);
    }
    // Low numbers belong to accounts.
    let upper_half = first + largest.1 / 2..=last;
    (*upper_half.start() >= 1000).then_some(upper_half)
}

fn parse_line(line: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = line.split_ascii_whitespace().map(|word| word.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??)).filter(|(_, _, count)| *count > 0)
}

/// Whether user 0 of this namespace is an ordinary user outside.
fn is_root_of_namespace_only() -> Result<bool, Cause> {
    let map = std::fs::read_to_string("/proc/self/uid_map");
    let map = map.map_err(|source| Cause::Refused { call: READ_UID_MAP, source })?;
    Ok(map.lines().filter_map(parse_line).any(|(inside, outside, _)| inside == 0 && outside != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_namespace_offers_the_documented_range() {
        assert_eq!(unused_ids("         0          0 4294967295\n"), Some(UNUSED));
    }

    #[test]
    fn a_container_offers_its_upper_half() {
        assert_eq!(unused_ids("0 1000 1\n1 100000 65536\n"), Some(32769..=65536));
        assert_eq!(unused_ids("0 100000 65536\n"), Some(32768..=65535));
    }

    #[test]
    fn a_namespace_with_one_id_offers_none() {
        assert_eq!(unused_ids("0 1000 1\n"), None);
        assert_eq!(unused_ids(""), None);
    }

    #[test]
    fn an_unused_identity_is_in_range_and_differs_from_run_to_run() {
        let choose = || unused_identity().expect("proc is mounted").expect("ids are mapped");
        let (one, other) = (choose(), choose());
        assert_ne!(one, other);
        assert!(!sys::user_has_process(one.uid));
    }

    #[test]
    fn this_process_is_found_by_its_user() {
        assert!(sys::user_has_process(nix::unistd::getuid().as_raw()));
    }
}
