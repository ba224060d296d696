//! Questions about operations on paths.

use super::answer::{Answer, Layer, Reply, Verdict};
use super::calls;
use super::kernel::kernel_layers_off;
use super::object::HostObject;
use super::operation::Operation;
use crate::platform::find_object;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use wave_engine::policy::PolicyDocument;
use wave_engine::{DirectoryGrant, Failure, monitor_access};
use wave_monitor::OFlags as OpenFlags;
use wave_monitor::{
    Errno, FdFlags, GrantedFile, HostFd, LookupFlags, Monitor, NewTime, NewTimes, OpenRequest, Rights, Rule,
};
use wave_policy::Access;

/// The descriptor of the first preopen.
const PREOPEN: u32 = 3;

/// Answers a question about a path of the program.
pub fn answer_path(policy: &PolicyDocument, path: &str, op: Operation) -> Reply {
    let grants: Vec<_> = policy.directories().collect();
    match preopen(&grants, path) {
        Some((index, rest)) => answer_inside_grant(policy, &grants, index, rest, op),
        None => answer_outside_grants(policy, path, op),
    }
}

/// How a program finds a grant: a directory, or a directory that has granted files and nothing else.
enum Place {
    Directory(Access),
    List(Vec<GrantedFile>),
}

impl Place {
    /// The place of a grant, if it had another access.
    fn of(grants: &[DirectoryGrant], grant: &DirectoryGrant, access: Access) -> Self {
        if !grant.is_file() {
            return Self::Directory(access);
        }
        let list = directory_of(grant);
        let files = grants.iter().filter(|file| file.is_file() && directory_of(file) == list);
        let files = files.filter_map(|file| {
            let (_, name) = file.name_in_directory()?;
            let access = monitor_access(if file == grant { access } else { file.access });
            Some(GrantedFile { name: name.as_bytes().to_vec(), host: HostFd::new(PREOPEN), access })
        });
        Self::List(files.collect())
    }

    /// The place in a monitor of its own, and its descriptor.
    fn granted(self) -> Result<(Monitor, u32), Errno> {
        let mut monitor = Monitor::new(wave_monitor::Limits::default());
        let fd = match self {
            Self::Directory(access) => {
                monitor.grant_directory(HostFd::new(PREOPEN), b"/".to_vec(), monitor_access(access))?
            }
            Self::List(files) => monitor.grant_list(HostFd::new(PREOPEN), b"/".to_vec(), files)?,
        };
        Ok((monitor, fd))
    }
}

/// The name of the directory that a program finds a grant as, or in.
fn directory_of(grant: &DirectoryGrant) -> &str {
    let file = if grant.is_file() { grant.name_in_directory() } else { None };
    strip_name(file.map_or(&grant.guest, |(directory, _)| directory))
}

/// Answers a question about a path of the host. Of several granted directories around it, the one with the most access counts.
///
/// # Errors
/// 2 if the parent of the path does not exist.
pub fn answer_host_path(policy: &PolicyDocument, path: &Path, op: Operation) -> Result<Reply, Failure> {
    let absent = |error: std::io::Error| {
        Failure::usage(format!("cannot find `{}`: {error}", path.display())).at("--host-path").fix("check the path")
    };
    // The last component is not resolved, because it may be a link or may not exist yet.
    let absolute = std::path::absolute(path).map_err(absent)?;
    let whole = match (absolute.parent(), absolute.file_name()) {
        (Some(parent), Some(name)) => std::fs::canonicalize(parent).map_err(absent)?.join(name),
        _ => std::fs::canonicalize(&absolute).map_err(absent)?,
    };
    let grants: Vec<_> = policy.directories().collect();
    let mut real = RealPaths::default();
    let mut inside = |host| {
        let rest = whole.strip_prefix(real.get(host)?).ok()?.to_str()?;
        Some(if rest.is_empty() { ".".to_owned() } else { rest.to_owned() })
    };
    let reached = grants.iter().enumerate().filter_map(|(index, grant)| {
        let rest = inside(&grant.host)?;
        let name = grant.name_in_directory().filter(|_| grant.is_file());
        Some((index, name.map_or(rest, |(_, name)| name.to_owned())))
    });
    let rank = |index: usize| grants.get(index).map(|grant| grant.access);
    Ok(match reached.max_by_key(|(index, _)| rank(*index)) {
        Some((index, rest)) => answer_inside_grant(policy, &grants, index, &rest, op),
        None => answer_outside_grants(policy, &whole.to_string_lossy(), op),
    })
}

/// A path as it is looked up: a relative one starts at the policy's `cwd`, unless a directory is called `/`.
pub fn from_start(policy: &PolicyDocument, path: &str) -> String {
    let has_root = policy.directories().any(|grant| directory_of(&grant).is_empty());
    match &policy.values.cwd {
        Some(cwd) if !path.starts_with('/') && !has_root => format!("{cwd}/{path}"),
        _ => path.to_owned(),
    }
}

/// The grant that a path is looked up in, and the rest of the path. The longest guest name counts, and the last of equal ones. Of
/// files in one directory it is the file that the path begins with, if there is one.
fn preopen<'p>(grants: &[DirectoryGrant], path: &'p str) -> Option<(usize, &'p str)> {
    let path = path.trim_start_matches('/');
    let lengths = grants.iter().enumerate().filter_map(|(index, grant)| {
        let name = directory_of(grant);
        path.starts_with(name).then_some(())?;
        let whole = path.get(name.trim_end_matches('/').len()..)?;
        let is_below = name.is_empty() || whole.is_empty() || whole.starts_with('/');
        let first = whole.split('/').find(|part| !matches!(*part, "" | "."));
        let is_it = grant.is_file() && grant.name_in_directory().map(|(_, name)| name) == first;
        is_below.then_some((name.len(), is_it, index))
    });
    let (length, _, index) = lengths.max()?;
    let rest = path.get(length..)?.trim_start_matches('/');
    Some((index, if rest.is_empty() { "." } else { rest }))
}

/// Strips `/`, `./` and a last `.` from the start of a guest name. Of a path, only `/` is stripped.
fn strip_name(mut path: &str) -> &str {
    loop {
        path = match (path.strip_prefix('/').or_else(|| path.strip_prefix("./")), path) {
            (Some(rest), _) => rest,
            (None, ".") => "",
            (None, path) => return path,
        };
    }
}

/// Answers for a path that no granted directory contains.
fn answer_outside_grants(policy: &PolicyDocument, path: &str, op: Operation) -> Reply {
    let mut answer = Answer::default();
    let imported = calls::add_imports(&mut answer, policy, functions(op));
    answer.add(Layer::Monitor, Verdict::Denies, None, "no directory is granted by a name that the path begins with");
    add_landlock(&mut answer, policy, None, op);
    calls::add_filter(&mut answer, policy, functions(op));
    let whole = path.trim_end_matches('/');
    let directory = match op {
        Operation::List => whole,
        _ => whole.rsplit_once('/').map_or(".", |(directory, _)| directory),
    };
    if directory.is_empty() || directory.split('/').any(|component| component == "..") {
        answer.advice = Some("grant the directory it is in, in an [[fs]] of the policy".to_owned());
        return Reply { answer, edit: imported };
    }
    let allows = |access: &Access| admit(Place::Directory(*access), "x", op).is_ok();
    let access = Access::ALL.into_iter().find(allows).unwrap_or_default();
    let edit = imported.or_else(|| policy.file.add_directory(directory, directory, access.as_str()));
    if edit.is_some() {
        answer.notes.push(format!("that grants all of `{directory}`"));
    }
    Reply { answer, edit }
}

/// Answers for the path `rest` inside a granted directory.
fn answer_inside_grant(
    policy: &PolicyDocument,
    grants: &[DirectoryGrant],
    index: usize,
    rest: &str,
    op: Operation,
) -> Reply {
    let mut answer = Answer::default();
    let imported = calls::add_imports(&mut answer, policy, functions(op));
    let Some(grant) = grants.get(index) else { return Reply { answer, edit: None } };
    let rule = policy.origin(&format!("fs[{index}]"));
    let admit = |access| admit(Place::of(grants, grant, access), rest, op);
    let (host, granted) = (grant.host.display(), grant.access);
    let is = match Reached::of(grant, rest) {
        Reached::Inside => format!("`{rest}` in `{}`, which is `{host}` on the host, {granted}", grant.guest),
        Reached::File => format!("`{}`, which is the file `{host}` on the host, {granted}", grant.guest),
        Reached::List => format!("`{rest}` in `/{}`, which has granted files and nothing else", directory_of(grant)),
    };
    let mut edit = None;
    match admit(grant.access) {
        Err(errno) => {
            answer.add(Layer::Monitor, Verdict::Denies, rule, format!("{is}: {} ({})", reason(errno), errno.name()));
            if matches!(errno.rule(), Rule::ReadOnly | Rule::AppendOnly) {
                let enough = [Access::Append, Access::ReadWrite].into_iter().find(|wider| admit(*wider).is_ok());
                edit = enough
                    .and_then(|access| policy.file.replace(&format!("fs[{index}].access"), &format!("\"{access}\"")));
            } else if errno.rule() == Rule::Beneath {
                answer.advice = Some("grant the directory it leads to, in an [[fs]] of its own".to_owned());
            }
        }
        Ok(()) => match find_granted(grant, rest, op) {
            HostObject::Refused(why, advice) => {
                answer.add(Layer::Monitor, Verdict::Denies, rule, format!("{is}: {}", why.text()));
                answer.advice = Some(advice.to_owned());
            }
            HostObject::Found => answer.add(Layer::Monitor, Verdict::Allows, rule, is),
            HostObject::Unclear(note) => {
                answer.add(Layer::Monitor, Verdict::Allows, rule, is);
                answer.notes.push(note);
            }
        },
    }
    match Reached::of(grant, rest) {
        Reached::List if kernel_layers_off(policy).is_none() => {
            answer.add(Layer::Landlock, Verdict::Silent, None, "no directory of the host is behind it");
        }
        _ => add_landlock(&mut answer, policy, Some((grants, grant)), op),
    }
    calls::add_filter(&mut answer, policy, functions(op));
    Reply { answer, edit: imported.or(edit) }
}

/// What a path reaches under a grant.
enum Reached {
    /// Something in a granted directory.
    Inside,
    /// The granted file.
    File,
    /// The directory of granted files itself, or what is not in it.
    List,
}

impl Reached {
    fn of(grant: &DirectoryGrant, rest: &str) -> Self {
        let mut parts = rest.split('/').skip_while(|part| *part == ".");
        let is_name = grant.name_in_directory().map(|(_, name)| name) == parts.next() && parts.next().is_none();
        match (grant.is_file(), is_name) {
            (false, _) => Self::Inside,
            (true, true) => Self::File,
            (true, false) => Self::List,
        }
    }
}

fn reason(errno: Errno) -> &'static str {
    // A monitor without a file system says so only of what is no granted file.
    if errno == Errno::NOENT { Rule::Listed.text() } else { errno.rule().text() }
}

/// What a path that the monitor admits leads to on the host.
fn find_granted(grant: &DirectoryGrant, rest: &str, op: Operation) -> HostObject {
    match Reached::of(grant, rest) {
        Reached::Inside => find_object(&grant.host, rest, op),
        Reached::List => HostObject::Found,
        Reached::File => {
            let real = std::fs::canonicalize(&grant.host).ok();
            let place = real.as_deref().and_then(|real| Some((real.parent()?, real.file_name()?.to_str()?)));
            match place {
                Some((parent, name)) => find_object(parent, name, op),
                None => HostObject::Unclear("the file cannot be found".to_owned()),
            }
        }
    }
}

/// Canonical paths of directories. Each is looked up once.
#[derive(Default)]
struct RealPaths<'p>(HashMap<&'p Path, Option<PathBuf>>);

impl<'p> RealPaths<'p> {
    fn get(&mut self, host: &'p Path) -> Option<&Path> {
        self.0.entry(host).or_insert_with(|| std::fs::canonicalize(host).ok()).as_deref()
    }
}

/// Adds the verdict of Landlock. The kernel adds up the rights of a directory and of all granted directories around it.
fn add_landlock(
    answer: &mut Answer,
    policy: &PolicyDocument,
    place: Option<(&[DirectoryGrant], &DirectoryGrant)>,
    op: Operation,
) {
    if let Some(off) = kernel_layers_off(policy) {
        return answer.add(Layer::Landlock, Verdict::Silent, None, off);
    }
    let Some((grants, grant)) = place else {
        return answer.add(Layer::Landlock, Verdict::Denies, None, "no rule covers it");
    };
    let (what, of_file) = if grant.is_file() { ("file", true) } else { ("directory", false) };
    // A granted file is there already.
    let needed: Vec<_> = rights(op).iter().copied().filter(|right| !of_file || *right != "make_reg").collect();
    if needed.is_empty() {
        return answer.add(
            Layer::Landlock,
            Verdict::Silent,
            None,
            "it has no right for this: the monitor alone decides",
        );
    }
    let mut real = RealPaths::default();
    let inside = real.get(&grant.host).unwrap_or(&grant.host).to_owned();
    let around = grants.iter().filter(|other| inside.starts_with(real.get(&other.host).unwrap_or(&other.host)));
    let given: BTreeSet<&str> = around.flat_map(|grant| grant.access.landlock_rights()).copied().collect();
    let missing: Vec<_> = needed.iter().copied().filter(|right| !given.contains(right)).collect();
    match missing.is_empty() {
        true => answer.add(Layer::Landlock, Verdict::Allows, None, format!("the {what} has {}", needed.join(", "))),
        false => answer.add(Layer::Landlock, Verdict::Denies, None, format!("the {what} lacks {}", missing.join(", "))),
    }
}

/// The WASI functions that a program calls for an operation.
pub const fn functions(op: Operation) -> &'static [&'static str] {
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

/// The Landlock rights that an operation needs.
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

/// Asks a monitor with one place whether it admits an operation.
fn admit(place: Place, rest: &str, op: Operation) -> Result<(), Errno> {
    let (monitor, fd) = place.granted()?;
    let is_list = monitor.is_list(fd);
    let path = rest.as_bytes();
    let follow = u32::from(LookupFlags::SYMLINK_FOLLOW.bits());
    let open = |oflags: OpenFlags, base: Rights, fdflags: FdFlags| {
        let (base, oflags, fdflags) = (base.bits(), oflags.bits().into(), fdflags.bits().into());
        let request = OpenRequest { fd, lookup: follow, path, oflags, base, inheriting: 0, fdflags };
        if is_list { monitor.admit_open_listed(request).map(drop) } else { monitor.admit_open(request).map(drop) }
    };
    let (none, anywhere) = (OpenFlags::empty(), FdFlags::empty());
    match op {
        Operation::Read => open(none, Rights::FD_READ, anywhere),
        Operation::Write => open(none, Rights::FD_WRITE, anywhere),
        Operation::Append => open(none, Rights::FD_WRITE, FdFlags::APPEND),
        // A path that ends in `/` names a directory, which an open cannot create.
        Operation::Create if rest.ends_with('/') => Err(wave_monitor::Errno::ISDIR),
        Operation::Create => open(OpenFlags::CREAT, Rights::FD_WRITE, FdFlags::APPEND),
        Operation::Truncate => open(OpenFlags::TRUNC, Rights::FD_WRITE, anywhere),
        Operation::List => open(OpenFlags::DIRECTORY, Rights::FD_READDIR, anywhere),
        Operation::Delete => monitor.admit_unlink(fd, path)?.name.map(drop),
        Operation::Stat if is_list => monitor.admit_stat_listed(fd, follow, path).map(drop),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(names: &[&str]) -> Vec<DirectoryGrant> {
        let grant = |name: &&str| DirectoryGrant::new("/", *name, Access::ReadOnly);
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
            assert!(admit(Place::Directory(Access::ReadWrite), "x", op).is_ok(), "{op:?}");
            for access in Access::ALL {
                let held = rights(op).iter().all(|right| access.landlock_rights().contains(right));
                let admitted = admit(Place::Directory(access), "x", op).is_ok();
                // What the monitor admits, Landlock must allow too. The reverse does not hold, because Landlock lacks
                // some rights.
                assert!(!admitted || held, "{op:?} {access}");
            }
        }
    }
}
