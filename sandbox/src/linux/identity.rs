//! Users and groups: who the process becomes.

use std::fmt;
use std::io;
use std::ops::RangeInclusive;

use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::unistd::{Gid, Uid, getgroups, getresgid, getresuid, setgroups, setresgid, setresuid};
use wave_policy::Identity;

use super::sys;
use crate::Cause;

/// Ids that no account and no service manager hands out: systemd leaves 1879048192 to 2147352575 unused, and this
/// is a part of it. Source: systemd, `docs/UIDS-GIDS.md`.
const UNUSED: RangeInclusive<u32> = 1_900_000_000..=2_099_999_999;

/// What a file shows as owner when its real owner has no number here; such an id must not be taken on.
const OVERFLOW_ID: u32 = 65534;

/// How a step is named that reads the ids of the namespace.
pub(crate) const READ_UID_MAP: &str = "read(/proc/self/uid_map)";

/// Free ids are the rule; this many in a row that are not means something else is wrong.
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

/// Takes on the wanted identity, or an unused one when the process is root; drops supplementary groups.
pub(crate) fn assume(wanted: Option<Identity>) -> Result<Assumed, Cause> {
    let (identity, kind) = choose(wanted)?;
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    let users = getresuid().map_err(Cause::refused("getresuid"))?;
    let groups = getresgid().map_err(Cause::refused("getresgid"))?;
    let changes_user = ![users.real, users.effective, users.saved].contains(&uid);
    let changes_group = ![groups.real, groups.effective, groups.saved].contains(&gid);
    if let Some(missing) = missing(changes_user, changes_group) {
        return Err(if is_root()? { Cause::RootWithout(missing) } else { Cause::NotRoot });
    }
    let groups = drop_groups(identity.uid == 0 || !is_root()?)?;
    // The group first: without root, the right to change it is gone.
    setresgid(gid, gid, gid).map_err(Cause::refused("setresgid"))?;
    setresuid(uid, uid, uid).map_err(Cause::refused("setresuid"))?;
    Ok(Assumed { identity, detail: format!("{kind}; {groups}") })
}

/// Becoming root on purpose is a mistake in the policy, not a layer that is missing.
pub(crate) fn check(wanted: Option<Identity>) -> Result<(), Cause> {
    if wanted.is_some_and(|identity| identity.uid == 0 || identity.gid == 0) { Err(Cause::NamedRoot) } else { Ok(()) }
}

fn choose(wanted: Option<Identity>) -> Result<(Identity, &'static str), Cause> {
    if let Some(identity) = wanted {
        return Ok((identity, "named by the policy"));
    }
    if !is_root()? {
        let own = Identity { uid: nix::unistd::getuid().as_raw(), gid: nix::unistd::getgid().as_raw() };
        // The usual group of a container's users. It is a group as any other: it owns files, and no power of root.
        if own.gid != 0 {
            return Ok((own, "the user's own"));
        }
        return Ok(match unused_identity() {
            Ok(Some(unused)) if holds(Capability::CAP_SETGID) => {
                (Identity { gid: unused.gid, ..own }, "the user's own, in a group used by nobody")
            }
            _ => (own, "the user's own; group 0 kept for want of CAP_SETGID"),
        });
    }
    match (unused_identity(), missing(true, true)) {
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

/// Whether any of the user ids is root's, the saved one included.
fn is_root() -> Result<bool, Cause> {
    let users = getresuid().map_err(Cause::refused("getresuid"))?;
    Ok([users.real, users.effective, users.saved].iter().any(|id| id.is_root()))
}

/// Which of the capabilities are missing that it takes to become another user, or to change to another group.
fn missing(user: bool, group: bool) -> Option<&'static str> {
    match (user && !holds(Capability::CAP_SETUID), group && !holds(Capability::CAP_SETGID)) {
        (false, false) => None,
        (true, false) => Some("CAP_SETUID"),
        (false, true) => Some("CAP_SETGID"),
        (true, true) => Some("CAP_SETUID and CAP_SETGID"),
    }
}

/// Who this process would become without anybody's wish, and whether it can.
pub(crate) fn outlook() -> Result<String, Cause> {
    let (identity, kind) = choose(None)?;
    match identity.uid == nix::unistd::getuid().as_raw() {
        true => Ok(format!("uid {}, gid {}, {kind}", identity.uid, identity.gid)),
        false => Ok(format!("root, which becomes a user and a group {kind}")),
    }
}

/// A user for a process that root is to end, if root may not end one of any user.
pub(crate) fn endable() -> Option<Identity> {
    let powerless = is_root().unwrap_or(false) && !holds(Capability::CAP_KILL);
    powerless.then(unused_identity)?.ok()?
}

/// Does something with a user as the real one, which gives the right to signal its processes (kill(2)). It takes `CAP_SETUID`.
pub(crate) fn with_real_user<T>(uid: u32, action: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    let unchanged = Uid::from_raw(u32::MAX);
    let before = nix::unistd::getuid();
    setresuid(Uid::from_raw(uid), unchanged, unchanged)?;
    let outcome = action();
    setresuid(before, unchanged, unchanged)?;
    outcome
}

fn holds(capability: Capability) -> bool {
    // A set that cannot be read counts as there, so that the failure shows in the step itself.
    caps::has_cap(None, CapSet::Effective, capability).unwrap_or(true)
}

/// Clears the supplementary groups. `optional`: a process that may not clear them keeps them, and says so.
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

/// A user and a group that no process uses: random ids from 1900000000 to 2099999999, or, in a user namespace
/// that does not map these, from the upper half of the largest range it maps. `None` when it maps no such id.
///
/// # Errors
/// When `/proc/self/uid_map` or `gid_map` cannot be read, or the kernel gives no random numbers.
pub fn unused_identity() -> io::Result<Option<Identity>> {
    let users = candidates(&read_map("/proc/self/uid_map")?);
    let groups = candidates(&read_map("/proc/self/gid_map")?);
    let (Some(users), Some(groups)) = (users, groups) else { return Ok(None) };
    for _ in 0..ATTEMPTS {
        let uid = draw(&users)?;
        if uid != OVERFLOW_ID && !sys::has_process(uid) {
            let gid = if groups.contains(&uid) { uid } else { draw(&groups)? };
            return Ok(Some(Identity { uid, gid }));
        }
    }
    Ok(None)
}

/// A map of ids; without /proc that of the first namespace. If it is another one, the kernel refuses the ids.
fn read_map(path: &str) -> io::Result<String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok("0 0 4294967295".to_owned()),
        map => map,
    }
}

fn draw(range: &RangeInclusive<u32>) -> io::Result<u32> {
    let count = range.end() - range.start() + 1;
    Ok(range.start() + sys::random()? % count)
}

/// The ids to draw from, given an id map: lines of first id inside, first id outside, count.
///
/// Source: user_namespaces(7).
fn candidates(map: &str) -> Option<RangeInclusive<u32>> {
    let ranges = map.lines().filter_map(read_line);
    let largest = ranges.map(|(inside, _, count)| (inside, count)).max_by_key(|(_, count)| *count)?;
    let (first, last) = (largest.0, largest.0 + (largest.1 - 1));
    if first <= *UNUSED.start() && last >= *UNUSED.end() {
        return Some(UNUSED);
    }
    // Low numbers belong to accounts.
    let upper_half = first + largest.1 / 2..=last;
    (*upper_half.start() >= 1000).then_some(upper_half)
}

fn read_line(line: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = line.split_ascii_whitespace().map(|word| word.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??)).filter(|(_, _, count)| *count > 0)
}

/// Whether user 0 of this namespace is an ordinary user outside.
fn is_root_of_namespace_only() -> Result<bool, Cause> {
    let map = std::fs::read_to_string("/proc/self/uid_map");
    let map = map.map_err(|source| Cause::Refused { call: READ_UID_MAP, source })?;
    Ok(map.lines().filter_map(read_line).any(|(inside, outside, _)| inside == 0 && outside != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_namespace_offers_the_documented_range() {
        assert_eq!(candidates("         0          0 4294967295\n"), Some(UNUSED));
    }

    #[test]
    fn a_container_offers_its_upper_half() {
        assert_eq!(candidates("0 1000 1\n1 100000 65536\n"), Some(32769..=65536));
        assert_eq!(candidates("0 100000 65536\n"), Some(32768..=65535));
    }

    #[test]
    fn a_namespace_with_one_id_offers_none() {
        assert_eq!(candidates("0 1000 1\n"), None);
        assert_eq!(candidates(""), None);
    }

    #[test]
    fn an_unused_identity_is_in_range_and_differs_from_run_to_run() {
        let draw = || unused_identity().expect("proc is mounted").expect("ids are mapped");
        let (one, other) = (draw(), draw());
        assert_ne!(one, other);
        assert!(!sys::has_process(one.uid));
    }

    #[test]
    fn this_process_is_found_by_its_user() {
        assert!(sys::has_process(nix::unistd::getuid().as_raw()));
    }
}
