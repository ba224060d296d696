//! `--cwd`: the directory where a program starts.
//!
//! WASI preview 1 has no working directory; a program finds it in its own ways. Go reads the variable `PWD`. wasi-libc always starts at
//! `/`, and so do C, Rust and CPython with it; but it looks up relative paths in the directory that is called `.`, if there is one. So a
//! run has `PWD`, and the directory once more by the name `.`, with the access that it has anyway. Where a directory is called `/` or `.`
//! already, a second one would take its place for absolute paths too: there, only `PWD` is set.

use crate::failure::Failure;
use crate::grants::{DirectoryGrant, GrantKind, rooted};
use crate::platform;
use std::fs::File;
use std::path::{Component, Path, PathBuf};

/// The guest name of the grant that is added.
const NAME: &str = ".";

/// The grant that makes relative paths begin at `cwd`. `None`: they do without, or a directory is called `/`. `place` is the flag or
/// line that sets it.
///
/// # Errors
/// 2 for a path that is not absolute, 125 for one that no grant leads to.
pub(crate) fn grant(cwd: &str, place: &str, grants: &[DirectoryGrant]) -> Result<Option<DirectoryGrant>, Failure> {
    let refuse = |what: String, fix: &str| Failure::refused(what).at(place).fix(fix);
    let is_plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    if !cwd.starts_with('/') || cwd.contains('\0') || !Path::new(cwd).components().all(is_plain) {
        return Err(Failure::usage(format!("`{cwd}` is no absolute path of the program"))
            .at(place)
            .fix("begin with `/`, and leave out `..`"));
    }
    let names = grants.iter().map(|grant| (rooted(&grant.guest), grant));
    // The longest name decides, and the last of equal ones, as in wasi-libc.
    let around = names.filter_map(|(name, grant)| {
        Some((name.components().count(), Path::new(cwd).strip_prefix(name).ok()?.to_owned(), grant))
    });
    let Some((_, rest, base)) = around.max_by_key(|(length, ..)| *length) else {
        return Err(refuse(
            format!("`{cwd}` is in no granted directory"),
            "grant one by that name or above it: --dir HOST::GUEST::ro",
        ));
    };
    let host = real_directory(&base.host, &rest).map_err(|what| {
        refuse(format!("the program cannot start at `{cwd}`: {what}"), "name a directory inside a grant")
    })?;
    let has_root = grants.iter().any(|grant| rooted(directory_of(grant)) == Path::new("/"));
    let grant = DirectoryGrant {
        kind: GrantKind::Directory,
        place: place.to_owned(),
        ..DirectoryGrant::new(host, NAME, base.access)
    };
    Ok((!has_root).then_some(grant))
}

/// Whether wasi-libc starts elsewhere than at `cwd`.
pub(crate) fn is_only_announced(cwd: &str, grants: &[DirectoryGrant]) -> bool {
    !cwd.trim_matches('/').is_empty()
        && grants.iter().map(directory_of).any(|name| name != NAME && rooted(name) == Path::new("/"))
}

/// The name of the directory that a program finds a grant as, or in.
fn directory_of(grant: &DirectoryGrant) -> &str {
    let of_file = if grant.is_file() { grant.name_in_directory() } else { None };
    of_file.map_or(&grant.guest, |(directory, _)| directory)
}

/// Opens the directory of a grant that [`grant`] has made. A link that was put on the way meanwhile is refused.
///
/// # Errors
/// The kernel's error.
pub(crate) fn open(host: &Path) -> std::io::Result<File> {
    platform::open_without_links(host)
}

/// The directory `rest` inside `base`, without links: one inside a grant may lead out of it, and an earlier program may have made it.
fn real_directory(base: &Path, rest: &Path) -> Result<PathBuf, String> {
    let text = |error: std::io::Error| error.to_string();
    let wanted = std::fs::canonicalize(base).map_err(text)?.join(rest);
    // Joining nothing adds a slash.
    let wanted: PathBuf = wanted.components().collect();
    if std::fs::canonicalize(&wanted).map_err(text)? != wanted {
        return Err("there is a link on the way".to_owned());
    }
    if wanted.is_dir() { Ok(wanted) } else { Err("not a directory".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wave_policy::Access;

    #[test]
    fn the_longest_name_around_it_decides() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let real = dir.path().canonicalize().expect("it is there");
        std::fs::create_dir_all(real.join("a/b")).expect("own directory");
        std::os::unix::fs::symlink("/etc", real.join("a/out")).expect("own directory");
        std::os::unix::fs::symlink("b", real.join("a/in")).expect("own directory");
        std::fs::write(real.join("a/file"), "").expect("own directory");
        let outer = DirectoryGrant::new(&real, "/data", Access::ReadOnly);
        let inner = DirectoryGrant::new(real.join("a"), "./data/x/", Access::ReadWrite);
        let both = [outer.clone(), inner.clone()];
        let found = |cwd: &str| grant(cwd, "--cwd", &both).unwrap().map(|grant| (grant.host, grant.access));
        assert_eq!(found("/data"), Some((real.clone(), Access::ReadOnly)));
        assert_eq!(found("/data//a/"), Some((real.join("a"), Access::ReadOnly)));
        assert_eq!(found("/data/x/b"), Some((real.join("a/b"), Access::ReadWrite)));
        for (cwd, code) in [
            ("data", 2),
            ("/data/../etc", 2),
            ("", 2),
            ("/database", 125),
            ("/", 125),
            ("/data/a/out", 125),
            ("/data/a/in", 125),
            ("/data/a/file", 125),
            ("/data/missing", 125),
        ] {
            assert_eq!(grant(cwd, "--cwd", &both).unwrap_err().code(), code, "{cwd}");
        }
        for root in ["/", ".", "./"] {
            let with_root = [outer.clone(), DirectoryGrant::new(&real, root, Access::ReadOnly)];
            assert_eq!(grant("/data", "--cwd", &with_root).unwrap(), None, "{root}");
        }
    }
}
