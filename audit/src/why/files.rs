//! Operations on paths.

use super::answer::{Answer, Layer, Reply, Verdict};
use super::calls;
use super::operation::Operation;
use super::sealed::kernel_is_off;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno as HostErrno;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use wave_engine::policy::PolicyDocument;
use wave_engine::{DirectoryGrant, Failure, monitor_access};
use wave_monitor::OFlags as OpenFlags;
use wave_monitor::{Errno, FdFlags, HostFd, LookupFlags, Monitor, NewTime, NewTimes, OpenRequest, Rights, Rule};
use wave_policy::Access;

/// The number of the first preopen.
const PREOPEN: u32 = 3;

/// What a policy says to an operation on a path of the program.
pub fn ask(policy: &PolicyDocument, path: &str, op: Operation) -> Reply {
    let grants: Vec<_> = policy.directories().collect();
    match preopen(&grants, path) {
        Some((index, rest)) => ask_beneath(policy, &grants, index, rest, op),
        None => ask_nowhere(policy, path, op),
    }
}

/// The same for a path of the host, through the directory that allows most.
///
/// # Errors
/// 2 for a path of which there is no directory.
pub fn ask_host(policy: &PolicyDocument, path: &Path, op: Operation) -> Result<Reply, Failure> {
    let absent = |error: std::io::Error| {
        Failure::usage(format!("cannot find `{}`: {error}", path.display())).at("--host-path").fix("check the path")
    };
    // The last component is left as it is: it may be a link, or be made by the operation.
    let absolute = std::path::absolute(path).map_err(absent)?;
    let whole = match (absolute.parent(), absolute.file_name()) {
        (Some(parent), Some(name)) => std::fs::canonicalize(parent).map_err(absent)?.join(name),
        _ => std::fs::canonicalize(&absolute).map_err(absent)?,
    };
    let grants: Vec<_> = policy.directories().collect();
    let mut real = Real::default();
    let mut beneath = |host| {
        let rest = whole.strip_prefix(real.path(host)?).ok()?.to_str()?;
        Some(if rest.is_empty() { ".".to_owned() } else { rest.to_owned() })
    };
    let reached = grants.iter().enumerate().filter_map(|(index, grant)| Some((index, beneath(&grant.host)?)));
    let rank = |index: usize| grants.get(index).map(|grant| grant.access);
    Ok(match reached.max_by_key(|(index, _)| rank(*index)) {
        Some((index, rest)) => ask_beneath(policy, &grants, index, &rest, op),
        None => ask_nowhere(policy, &whole.to_string_lossy(), op),
    })
}

/// Which directory a path is looked up in, and what of it is left: the longest name, and the last of equal ones.
fn preopen<'p>(grants: &[DirectoryGrant], path: &'p str) -> Option<(usize, &'p str)> {
    let path = path.trim_start_matches('/');
    let lengths = grants.iter().enumerate().filter_map(|(index, grant)| {
        let name = strip(&grant.guest);
        path.starts_with(name).then_some(())?;
        let whole = path.get(name.trim_end_matches('/').len()..)?;
        (name.is_empty() || whole.is_empty() || whole.starts_with('/')).then_some((name.len(), index))
    });
    let (length, index) = lengths.max()?;
    let rest = path.get(length..)?.trim_start_matches('/');
    Some((index, if rest.is_empty() { "." } else { rest }))
}

/// A name without what does not count at its start: `/`, `./`, a last `.`. Of a path only `/` is left out.
fn strip(mut path: &str) -> &str {
    loop {
        path = match (path.strip_prefix('/').or_else(|| path.strip_prefix("./")), path) {
            (Some(rest), _) => rest,
            (None, ".") => "",
            (None, path) => return path,
        };
    }
}

/// No directory has a name that the path begins with.
fn ask_nowhere(policy: &PolicyDocument, path: &str, op: Operation) -> Reply {
    let mut answer = Answer::default();
    let imported = calls::imports(&mut answer, policy, functions(op));
    answer.add(Layer::Monitor, Verdict::Denies, None, "no directory is granted by a name that the path begins with");
    says_landlock(&mut answer, policy, None, op);
    calls::filter(&mut answer, policy, functions(op));
    let whole = path.trim_end_matches('/');
    let directory = match op {
        Operation::List => whole,
        _ => whole.rsplit_once('/').map_or(".", |(directory, _)| directory),
    };
    if directory.is_empty() || directory.split('/').any(|component| component == "..") {
        answer.advice = Some("grant the directory it is in, in an [[fs]] of the policy".to_owned());
        return Reply { answer, edit: imported };
    }
    let access = Access::ALL.into_iter().find(|access| admit(*access, "x", op).is_ok()).unwrap_or_default();
    let edit = imported.or_else(|| policy.file.add_directory(directory, directory, access.as_str()));
    if edit.is_some() {
        answer.notes.push(format!("that grants all of `{directory}`"));
    }
    Reply { answer, edit }
}

fn ask_beneath(policy: &PolicyDocument, grants: &[DirectoryGrant], index: usize, rest: &str, op: Operation) -> Reply {
    let mut answer = Answer::default();
    let imported = calls::imports(&mut answer, policy, functions(op));
    let Some(grant) = grants.get(index) else { return Reply { answer, edit: None } };
    let rule = policy.origin(&format!("fs[{index}]"));
    let is =
        format!("`{rest}` in `{}`, which is `{}` on the host, {}", grant.guest, grant.host.display(), grant.access);
    let mut edit = None;
    match admit(grant.access, rest, op) {
        Err(errno) => {
            answer.add(Layer::Monitor, Verdict::Denies, rule, format!("{is}: {} ({})", reason(errno), errno.name()));
            if matches!(errno.rule(), Rule::ReadOnly | Rule::AppendOnly) {
                let enough =
                    [Access::Append, Access::ReadWrite].into_iter().find(|wider| admit(*wider, rest, op).is_ok());
                edit = enough
                    .and_then(|access| policy.file.replace(&format!("fs[{index}].access"), &format!("\"{access}\"")));
            } else if errno.rule() == Rule::Beneath {
                answer.advice = Some("grant the directory it leads to, in an [[fs]] of its own".to_owned());
            }
        }
        Ok(()) => match look(&grant.host, rest, op) {
            Seen::Refused(why, advice) => {
                answer.add(Layer::Monitor, Verdict::Denies, rule, format!("{is}: {}", why.text()));
                answer.advice = Some(advice.to_owned());
            }
            Seen::Found => answer.add(Layer::Monitor, Verdict::Allows, rule, is),
            Seen::Unclear(note) => {
                answer.add(Layer::Monitor, Verdict::Allows, rule, is);
                answer.notes.push(note);
            }
        },
    }
    says_landlock(&mut answer, policy, Some((grants, grant)), op);
    calls::filter(&mut answer, policy, functions(op));
    Reply { answer, edit: imported.or(edit) }
}

fn reason(errno: Errno) -> &'static str {
    errno.rule().text()
}

/// Where directories really are, each asked for once.
#[derive(Default)]
struct Real<'p>(HashMap<&'p Path, Option<PathBuf>>);

impl<'p> Real<'p> {
    fn path(&mut self, host: &'p Path) -> Option<&Path> {
        self.0.entry(host).or_insert_with(|| std::fs::canonicalize(host).ok()).as_deref()
    }
}

/// The rights that directory has and all around it: the kernel adds them up.
fn says_landlock(
    answer: &mut Answer,
    policy: &PolicyDocument,
    place: Option<(&[DirectoryGrant], &DirectoryGrant)>,
    op: Operation,
) {
    if let Some(off) = kernel_is_off(policy) {
        return answer.add(Layer::Landlock, Verdict::Silent, None, off);
    }
    let needed = rights(op);
    let Some((grants, grant)) = place else {
        return answer.add(Layer::Landlock, Verdict::Denies, None, "no rule is for a directory around it");
    };
    if needed.is_empty() {
        return answer.add(
            Layer::Landlock,
            Verdict::Silent,
            None,
            "it has no right for this: the monitor alone decides",
        );
    }
    let mut real = Real::default();
    let inside = real.path(&grant.host).unwrap_or(&grant.host).to_owned();
    let around = grants.iter().filter(|other| inside.starts_with(real.path(&other.host).unwrap_or(&other.host)));
    let given: BTreeSet<&str> = around.flat_map(|grant| grant.access.landlock_rights()).copied().collect();
    let missing: Vec<_> = needed.iter().copied().filter(|right| !given.contains(right)).collect();
    match missing.is_empty() {
        true => answer.add(Layer::Landlock, Verdict::Allows, None, format!("the directory has {}", needed.join(", "))),
        false => {
            answer.add(Layer::Landlock, Verdict::Denies, None, format!("the directory lacks {}", missing.join(", ")))
        }
    }
}

/// The functions a program calls for it.
const fn functions(op: Operation) -> &'static [&'static str] {
    match op {
        Operation::Read => &["path_open", "fd_read"],
        Operation::Write | Operation::Append | Operation::Create => &["path_open", "fd_write"],
        Operation::Truncate => &["path_open"],
        Operation::List => &["path_open", "fd_readdir"],
        Operation::Delete => &["path_unlink_file"],
        Operation::Stat => &["path_filestat_get"],
        Operation::Times => &["path_filestat_set_times"],
        Operation::Mkdir => &["path_create_directory"],
        Operation::Rmdir => &["path_remove_directory"],
        Operation::Rename => &["path_rename"],
        Operation::Link => &["path_link"],
        Operation::Symlink => &["path_symlink"],
        Operation::Readlink => &["path_readlink"],
    }
}

/// The rights of Landlock it takes.
const fn rights(op: Operation) -> &'static [&'static str] {
    match op {
        Operation::Read => &["read_file"],
        Operation::Write | Operation::Append => &["write_file"],
        Operation::Create => &["make_reg", "write_file"],
        Operation::Truncate => &["write_file", "truncate"],
        Operation::List => &["read_dir"],
        Operation::Delete => &["remove_file"],
        Operation::Mkdir => &["make_dir"],
        Operation::Rmdir => &["remove_dir"],
        Operation::Rename => &["remove_file", "make_reg"],
        Operation::Link => &["make_reg"],
        Operation::Symlink => &["make_sym"],
        Operation::Stat | Operation::Times | Operation::Readlink => &[],
    }
}

/// What the monitor says, asked by itself about one directory.
fn admit(access: Access, rest: &str, op: Operation) -> Result<(), Errno> {
    let mut monitor = Monitor::new(wave_monitor::Limits::default());
    let fd = monitor.grant_directory(HostFd::new(PREOPEN), b"/".to_vec(), monitor_access(access))?;
    let path = rest.as_bytes();
    let follow = u32::from(LookupFlags::SYMLINK_FOLLOW.bits());
    let open = |oflags: OpenFlags, base: Rights, fdflags: FdFlags| {
        let (base, oflags, fdflags) = (base.bits(), oflags.bits().into(), fdflags.bits().into());
        let request = OpenRequest { fd, lookup: follow, path, oflags, base, inheriting: 0, fdflags };
        monitor.admit_open(request).map(drop)
    };
    let (none, anywhere) = (OpenFlags::empty(), FdFlags::empty());
    match op {
        Operation::Read => open(none, Rights::FD_READ, anywhere),
        Operation::Write => open(none, Rights::FD_WRITE, anywhere),
        Operation::Append => open(none, Rights::FD_WRITE, FdFlags::APPEND),
        // Opening makes no directory.
        Operation::Create if rest.ends_with('/') => Err(wave_monitor::Errno::ISDIR),
        Operation::Create => open(OpenFlags::CREAT, Rights::FD_WRITE, FdFlags::APPEND),
        Operation::Truncate => open(OpenFlags::TRUNC, Rights::FD_WRITE, anywhere),
        Operation::List => open(OpenFlags::DIRECTORY, Rights::FD_READDIR, anywhere),
        Operation::Delete => monitor.admit_unlink(fd, path)?.name.map(drop),
        Operation::Stat => monitor.admit_stat_at(fd, follow, path).map(drop),
        Operation::Times => {
            let now = NewTimes { access: NewTime::Now, modification: NewTime::Now };
            monitor.admit_set_times_at(fd, follow, path, now).map(drop)
        }
        Operation::Mkdir => monitor.admit_create_directory(fd, path)?.name.map(drop),
        Operation::Rmdir => monitor.admit_remove_directory(fd, path)?.name.map(drop),
        Operation::Rename => monitor.admit_rename(fd, path, fd, path)?.old_name.map(drop),
        Operation::Link => monitor.admit_link(fd, 0, path, fd, path)?.old_name.map(drop),
        Operation::Symlink => monitor.admit_symlink(b"target", fd, path)?.name.map(drop),
        Operation::Readlink => monitor.admit_readlink(fd, path)?.name.map(drop),
    }
}

/// What stands on the host.
enum Seen {
    Found,
    /// The monitor refuses what is there; and what the operator can do.
    Refused(Rule, &'static str),
    /// Something that a run may see differently.
    Unclear(String),
}

/// Resolves a path as a run would, without opening anything: no device is touched.
fn look(host: &Path, rest: &str, op: Operation) -> Seen {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let unclear = |what: &str, error: HostErrno| Seen::Unclear(format!("{what}: {error}"));
    let directory = match rustix::fs::open(host, flags | OFlags::DIRECTORY, Mode::empty()) {
        Ok(directory) => directory,
        Err(error) => return unclear("the directory cannot be looked at", error),
    };
    let follow = match op {
        Operation::Read | Operation::Write | Operation::Append | Operation::Create => true,
        Operation::Truncate | Operation::List | Operation::Stat | Operation::Times => true,
        Operation::Delete | Operation::Mkdir | Operation::Rmdir | Operation::Rename => false,
        Operation::Link | Operation::Symlink | Operation::Readlink => false,
    };
    let last = if follow { flags } else { flags | OFlags::NOFOLLOW };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let leads_out = "no line of a policy lets a path lead out of its directory: grant the directory it leads to, in an [[fs]] \
                     of its own, and name it by that";
    let object = match rustix::fs::openat2(&directory, rest, last, Mode::empty(), resolve) {
        Ok(object) => object,
        Err(HostErrno::XDEV) => return Seen::Refused(Rule::Beneath, leads_out),
        Err(HostErrno::NOENT) => {
            let makes = matches!(op, Operation::Create | Operation::Mkdir | Operation::Symlink);
            return match makes {
                true => Seen::Found,
                false => Seen::Unclear("it does not exist now".to_owned()),
            };
        }
        Err(error) => return unclear("it cannot be looked at", error),
    };
    let kernels = rustix::fs::fstatfs(&object).ok().and_then(|found| u64::try_from(found.f_type).ok());
    if kernels.is_some_and(|magic| wave_monitor::admit_filesystem(magic).is_err()) {
        return Seen::Refused(Rule::KernelInterface, "no line of a policy does");
    }
    let opens = functions(op).contains(&"path_open");
    let kind = rustix::fs::fstat(&object).map(|found| rustix::fs::FileType::from_raw_mode(found.st_mode));
    match kind {
        Ok(kind) if opens && (kind.is_char_device() || kind.is_block_device() || kind.is_socket()) => {
            Seen::Refused(Rule::Device, "no line of a policy does; `--device` opens a character device to one run")
        }
        Ok(_) => Seen::Found,
        Err(error) => unclear("it cannot be looked at", error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(names: &[&str]) -> Vec<DirectoryGrant> {
        let grant = |name: &&str| DirectoryGrant {
            host: "/".into(),
            guest: (*name).to_owned(),
            access: Access::ReadOnly,
            place: String::new(),
        };
        names.iter().map(grant).collect()
    }

    #[test]
    fn the_longest_name_counts_by_components() {
        let all = grants(&["/data", "/data/sub", "./other/", ".", "/data"]);
        for (path, index, rest) in [
            ("/data/x", 4, "x"),
            ("data/x", 4, "x"),
            ("/data", 4, "."),
            ("/data/sub//x/", 1, "x/"),
            ("/data/subx", 4, "subx"),
            ("other/y", 2, "y"),
            ("./other/y", 3, "./other/y"),
            ("/etc/passwd", 3, "etc/passwd"),
            ("/data/../x", 4, "../x"),
            (".", 3, "."),
        ] {
            assert_eq!(preopen(&all, path), Some((index, rest)), "{path}");
        }
        let one = grants(&["/data"]);
        for path in ["/", "", "/dat", "/datax", "/x/data"] {
            assert_eq!(preopen(&one, path), None, "{path}");
        }
    }

    #[test]
    fn each_operation_is_admitted_with_some_access_and_the_rights_follow() {
        for (op, ..) in Operation::ALL {
            assert!(admit(Access::ReadWrite, "x", op).is_ok(), "{op:?}");
            for access in Access::ALL {
                let held = rights(op).iter().all(|right| access.landlock_rights().contains(right));
                let admitted = admit(access, "x", op).is_ok();
                // What the monitor lets through the kernel must, too; the other way round Landlock has no word for it.
                assert!(!admitted || held, "{op:?} {access}");
            }
        }
    }
}
