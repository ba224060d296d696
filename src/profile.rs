//! `--profile perfmap`: a file that tells `perf` which function each address of the program's code belongs to.
//!
//! It is written before the seal, in the process that runs the program. `perf` looks for `/tmp/perf-PID.map`, so the name can be guessed:
//! the file is made new, and never through a link.

use crate::text::short;
use rustix::fs::{CWD, Mode, OFlags, openat, unlinkat};
use std::fs::{File, symlink_metadata};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use wave_engine::{Code, DirectoryGrant, Failure, Plan, demangled};

/// Where `perf` looks.
const DIRECTORY: &str = "/tmp";

const FLAG: &str = "--profile perfmap";

/// Refuses the map if the program could read it, and would know from there where its code is.
///
/// # Errors
/// 125 for a grant of its directory, or of one around it.
pub fn refuse_readable(plan: &Plan) -> Result<(), Failure> {
    let directory = std::fs::canonicalize(DIRECTORY).map_err(|error| cannot(&error))?;
    let is_around = |grant: &&DirectoryGrant| grant.host.canonicalize().is_ok_and(|host| directory.starts_with(host));
    match plan.grants.iter().find(is_around) {
        None => Ok(()),
        Some(grant) => {
            let what = format!("the program could read where its code is: `{}` is granted", grant.host.display());
            Err(Failure::refused(what).at(FLAG).fix(format!("grant another directory than {DIRECTORY}")))
        }
    }
}

/// Writes the map of a program that is loaded.
///
/// # Errors
/// 125 if the file is another's, or cannot be written.
pub fn write(code: &[Code]) -> Result<(), Failure> {
    let path = PathBuf::from(format!("{DIRECTORY}/perf-{}.map", std::process::id()));
    let file = create(&path).map_err(|error| cannot(&error))?;
    write_to(file, code).map_err(|error| cannot(&error))
}

fn cannot(error: &io::Error) -> Failure {
    let what = format!("cannot write {DIRECTORY}/perf-{}.map: {error}", std::process::id());
    Failure::refused(what).at(FLAG).fix("remove what is there, or check the space on the disk")
}

/// Makes a new file that only this user can read. One that an earlier process with this number has left is replaced.
fn create(path: &Path) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let new = || openat(CWD, path, flags, Mode::RUSR | Mode::WUSR).map(File::from).map_err(io::Error::from);
    match new() {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && is_own_file(path)? => {
            unlinkat(CWD, path, rustix::fs::AtFlags::empty())?;
            new()
        }
        made => made,
    }
}

fn is_own_file(path: &Path) -> io::Result<bool> {
    let found = symlink_metadata(path)?;
    Ok(found.is_file() && found.uid() == rustix::process::geteuid().as_raw())
}

/// A line for each function: address, length, name.
fn write_to(file: File, code: &[Code]) -> io::Result<()> {
    let mut file = BufWriter::new(file);
    for Code { range, function, name } in code.iter().filter(|code| !code.range.is_empty()) {
        let name = match name {
            Some(name) => short(&demangled(name).unwrap_or_else(|| name.clone())),
            None => format!("function {function}"),
        };
        writeln!(file, "{:x} {:x} {name}", range.start, range.len())?;
    }
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_map_is_a_new_file_of_this_user() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("perf-1.map");
        create(&path).expect("a new file");
        assert_eq!(fs::metadata(&path).expect("made").permissions().mode() & 0o7777, 0o600);
        fs::write(&path, "of an earlier process").expect("own file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("own file");
        let code = |name: Option<&str>| Code { range: 0x10..0x30, function: 7, name: name.map(str::to_owned) };
        let names = [Some("_ZN3foo3barEv"), Some("a\nb\u{1b}"), None];
        write_to(create(&path).expect("it is replaced"), &names.map(code)).expect("written");
        let text = fs::read_to_string(&path).expect("own file");
        assert_eq!(text, "10 20 foo::bar()\n10 20 a\\u{a}b\\u{1b}\n10 20 function 7\n");
        assert_eq!(fs::metadata(&path).expect("made").permissions().mode() & 0o7777, 0o600);
    }

    #[test]
    fn a_map_goes_through_no_link_and_replaces_nothing_else() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (precious, link) = (dir.path().join("precious"), dir.path().join("perf-1.map"));
        fs::write(&precious, "precious").expect("own directory");
        for target in [&precious, &dir.path().join("nothing")] {
            symlink(target, &link).expect("linked");
            assert_eq!(create(&link).map(drop).map_err(|error| error.kind()), Err(ErrorKind::AlreadyExists));
            assert!(fs::read_link(&link).is_ok_and(|to| to == *target), "the link stays");
            fs::remove_file(&link).expect("own directory");
        }
        fs::create_dir(&link).expect("own directory");
        assert!(create(&link).is_err());
        assert_eq!(fs::read_to_string(&precious).expect("own file"), "precious");
        assert!(!dir.path().join("nothing").exists());
    }
}
