//! `--dir HOST[::GUEST[::ro|rw|append]]`, and `--file`: their syntax, and advice for the syntax of other tools.
//!
//! A single colon is never a part of a path here, and no guest path ends like an access: with either, a misspelt `ro` would be
//! the end of a name, and the directory could be written (T130). The advice grants what the flag asked for or less.

use crate::text::shell_word;
use std::path::Path;
use wave_engine::{DirectoryGrant, Failure};
use wave_policy::Access;

/// Words for an access. A guest path is none of them and does not end in one.
const ACCESS: [(&str, Access); 13] = [
    ("ro", Access::ReadOnly),
    ("rw", Access::ReadWrite),
    ("append", Access::Append),
    ("readonly", Access::ReadOnly),
    ("read-only", Access::ReadOnly),
    ("readwrite", Access::ReadWrite),
    ("read-write", Access::ReadWrite),
    ("r", Access::ReadOnly),
    ("w", Access::Append),
    ("wo", Access::Append),
    // Labels and overlays of container engines, which do not set an access.
    ("z", Access::ReadOnly),
    ("o", Access::ReadOnly),
    ("u", Access::ReadOnly),
];

/// What else container engines take behind the last colon.
const OPTIONS: [&str; 27] = [
    "cached",
    "delegated",
    "consistent",
    "copy",
    "nocopy",
    "volume-nocopy",
    "shared",
    "rshared",
    "slave",
    "rslave",
    "private",
    "rprivate",
    "unbindable",
    "runbindable",
    "bind",
    "rbind",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "suid",
    "nosuid",
    "idmap",
    "no-dereference",
    "noatime",
    "recursive",
    "true",
];

/// The parts of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'f> {
    /// Where the directory or file is on the host.
    pub host: &'f str,
    /// What the guest calls it.
    pub guest: &'f str,
    /// What the guest may do there.
    pub access: Access,
}

/// Reads a `--dir`, and checks that the directory, or file, is there.
///
/// # Errors
/// 2 for any other form, 125 for what is not there.
pub fn grant(flag: &str) -> Result<DirectoryGrant, Failure> {
    let Parts { host, guest, access } = parse(flag)?;
    DirectoryGrant { place: format!("--dir {flag}"), ..DirectoryGrant::new(host, guest, access) }.checked()
}

/// Reads a `--file`, and checks that the file is there. What both flags take alike is a file for both.
///
/// # Errors
/// 2 for any other form, 125 for what is not there or is a directory.
pub fn file(flag: &str) -> Result<DirectoryGrant, Failure> {
    let place = format!("--file {flag}");
    let parts = read(flag).map_err(|what| {
        let form = "write HOST::GUEST::ro, the file of the host first; a path with a colon is granted in a policy file";
        Failure::usage(what).at(place.clone()).fix(form)
    });
    let Parts { host, guest, access } = parts?;
    DirectoryGrant { place, ..DirectoryGrant::file(host, guest, access) }.checked()
}

/// Reads the parts of a grant.
///
/// # Errors
/// 2 for any other form, with the grant that was probably meant, or a narrower one.
pub fn parse(flag: &str) -> Result<Parts<'_>, Failure> {
    match read(flag) {
        Ok(parts) => Ok(parts),
        Err(what) => Err(Failure::usage(what).at(format!("--dir {flag}")).fix(advice(flag))),
    }
}

/// The flag for a grant, quoted for a shell. `None` if there is none: a path has a colon, or characters that cannot be typed. Nor is there
/// one for a guest path that may have been an access: nobody is advised to type that.
pub fn write(host: &str, guest: &str, access: Access) -> Option<String> {
    let value = format!("{host}::{guest}::{access}");
    let is_right = read(&value) == Ok(Parts { host, guest, access }) && !is_mode(guest);
    let word = shell_word(&value).filter(|_| is_right)?;
    let between = if value.starts_with('-') { '=' } else { ' ' };
    Some(format!("--dir{between}{word}"))
}

fn read(flag: &str) -> Result<Parts<'_>, String> {
    const FORM: &str = "a grant has the form HOST[::GUEST[::ro|rw|append]]";
    let mut parts = flag.split("::");
    let host = parts.next().unwrap_or_default();
    let (guest, access) = (parts.next(), parts.next());
    if host.is_empty() || guest == Some("") || parts.next().is_some() || flag.contains('\0') {
        return Err(FORM.to_owned());
    }
    if flag.split("::").any(|part| part.contains(':')) {
        return Err(format!("{FORM}, and `{flag}` has a single colon"));
    }
    let guest_path = guest.unwrap_or(host);
    // A host path of one word is what it is; behind it, a word is an access in the wrong place. With an access behind it, only a word of
    // this flag is.
    let is_misplaced = |word: &str| match access {
        None => is_mode(word),
        Some(_) => word.split(',').any(|word| word.parse::<Access>().is_ok()),
    };
    if guest.is_some_and(is_misplaced) || without_mode(guest_path).is_some() {
        return Err(format!("the guest path `{guest_path}` ends like an access"));
    }
    let access = match access {
        None => Access::ReadWrite,
        Some(word) => word.parse().map_err(|_| format!("`{word}` is no access"))?,
    };
    Ok(Parts { host, guest: guest_path, access })
}

/// What to write in place of a flag of another form.
fn advice(flag: &str) -> String {
    const IN_A_FILE: &str = "a path with a colon is granted in a policy file: host = \"…\" of an [[fs]]";
    // If there is such a directory, it may be the one that is meant.
    if flag.split("::").next().is_some_and(|host| host.contains(':') && Path::new(host).exists()) {
        return IN_A_FILE.to_owned();
    }
    let Some((host, guest, access)) = translate(flag) else {
        return format!(
            "separate the parts by two colons, none of them empty, the directory of the host first; {IN_A_FILE}"
        );
    };
    let Some(grant) = write(&host, &guest, access) else { return IN_A_FILE.to_owned() };
    if Path::new(&host).exists() {
        return format!("write {grant}");
    }
    format!("create the directory `{host}`, and write {grant}")
}

/// What is granted by a flag that has single colons, or other words for an access: host, guest and access. Never more than the
/// flag can mean. `None` if it is ambiguous.
fn translate(flag: &str) -> Option<(String, String, Access)> {
    let one_colon = flag.replace("::", ":");
    let mut words: Vec<&str> = one_colon.split(':').collect();
    let mut modes = Vec::new();
    while let [_, .., last] = *words {
        if !last.split(',').all(is_option) {
            break;
        }
        modes.extend(last.split(','));
        words.pop();
    }
    if let Some((path, mode)) = words.last().and_then(|last| without_mode(last)) {
        modes.extend(mode.split(','));
        words.pop();
        words.push(path);
    }
    let (host, guest) = match *words {
        [host] if !is_doubtful(host) => (host, host),
        [host, guest] if !is_doubtful(host) && !is_doubtful(guest) => (host, guest),
        _ => return None,
    };
    if host.is_empty() || guest.is_empty() {
        return None;
    }
    // Some runtimes put the guest path first. The whole host is no likely slip.
    let is_all = Path::new(host).canonicalize().is_ok_and(|host| host == Path::new("/"));
    if is_all && !flag.contains("::") && (modes.is_empty() || !guest.starts_with('/')) {
        return None;
    }
    let access = modes.iter().map(|mode| access_of(mode)).min();
    let says_access = modes.iter().any(|mode| is_access(mode));
    let access = match access {
        None => Access::ReadWrite,
        Some(access) if says_access => access,
        Some(_) => Access::ReadOnly,
    };
    Some((host.to_owned(), guest.to_owned(), access))
}

/// The access that a word allows. An option that does not set an access allows everything.
fn access_of(word: &str) -> Access {
    ACCESS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map_or(Access::ReadWrite, |(_, access)| *access)
}

fn is_access(word: &str) -> bool {
    ACCESS.iter().any(|(name, _)| name.eq_ignore_ascii_case(word))
}

fn is_option(word: &str) -> bool {
    is_access(word) || OPTIONS.iter().any(|name| name.eq_ignore_ascii_case(word))
}

/// Whether a word is an access, with options or without.
fn is_mode(word: &str) -> bool {
    word.split(',').all(is_option) && word.split(',').any(is_access)
}

/// Whether a path has an access or an option in it, beside other pieces.
fn is_doubtful(path: &str) -> bool {
    let mut pieces = path.split(|c: char| !c.is_alphanumeric() && !matches!(c, '/' | '.' | '_' | '-'));
    pieces.clone().count() > 1 && pieces.any(is_option)
}

/// A path that ends like an access, as path and access: whatever stands between them is no part of a name that people give.
fn without_mode(path: &str) -> Option<(&str, &str)> {
    let start = |(at, _): (usize, char)| {
        let (head, tail) = path.split_at(at);
        let mode = tail.trim_start_matches(|c: char| !c.is_alphanumeric());
        let between = tail.get(..tail.len() - mode.len())?;
        let marks = !between.contains('/') && between.chars().any(|c| !matches!(c, '.' | '_' | '-'));
        let ends = head.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-'));
        (marks && ends && is_mode(mode)).then_some((head, mode))
    };
    path.char_indices().filter(|(_, c)| !c.is_alphanumeric()).find_map(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The fix for a flag.
    fn fix(flag: &str) -> String {
        let message = parse(flag).expect_err(flag).to_string();
        let fix = message.lines().find_map(|line| line.strip_prefix("  fix:   ")).expect("a fix");
        fix.replace("write ", "").replace(IN_FILE, "")
    }

    #[test]
    fn grants_name_host_guest_and_access() {
        let granted = grant("/::/srv::ro").unwrap();
        assert_eq!(
            (granted.host.as_path(), &*granted.guest, granted.access),
            (Path::new("/"), "/srv", Access::ReadOnly)
        );
        assert_eq!(grant("/").unwrap().access, Access::ReadWrite);
        for (flag, code) in [
            ("/::/a::x", 2),
            ("/::/a::ro::b", 2),
            ("", 2),
            ("::/a", 2),
            ("/proc/nowhere", 125),
            ("/proc/nowhere:/a", 2),
        ] {
            assert_eq!(grant(flag).unwrap_err().code(), code, "{flag}");
        }
    }

    const IN_FILE: &str = "; a path with a colon is granted in a policy file: host = \"…\" of an [[fs]]";

    #[test]
    fn t130_the_spellings_of_container_engines_are_translated_whole() {
        for (flag, expected) in [
            ("/usr:/data:ro", "--dir /usr::/data::ro"),
            ("/usr::/data:ro", "--dir /usr::/data::ro"),
            ("/usr:/data::ro", "--dir /usr::/data::ro"),
            ("/usr:/data:RO", "--dir /usr::/data::ro"),
            ("/usr:/data:rw", "--dir /usr::/data::rw"),
            ("/usr:/data:append", "--dir /usr::/data::append"),
            ("/usr:/data", "--dir /usr::/data::rw"),
            ("/usr:/data:z", "--dir /usr::/data::ro"),
            ("/usr:/data:Z", "--dir /usr::/data::ro"),
            ("/usr:/data:O", "--dir /usr::/data::ro"),
            ("/usr:/data:U", "--dir /usr::/data::ro"),
            ("/usr:/data:rw,z", "--dir /usr::/data::ro"),
            ("/usr:/data:ro,z", "--dir /usr::/data::ro"),
            ("/usr:/data:z,ro", "--dir /usr::/data::ro"),
            ("/usr:/data:rw,rshared", "--dir /usr::/data::rw"),
            ("/usr:/data:cached", "--dir /usr::/data::ro"),
            ("/usr:/data:readonly", "--dir /usr::/data::ro"),
            ("/usr::/data::ro,z", "--dir /usr::/data::ro"),
            ("/usr::/data::RO", "--dir /usr::/data::ro"),
            ("/usr::/data,ro", "--dir /usr::/data::ro"),
            ("/usr:/data,ro", "--dir /usr::/data::ro"),
            ("/usr::/data,z", "--dir /usr::/data::ro"),
            ("/usr::/data;ro", "--dir /usr::/data::ro"),
            ("/usr::/data ro", "--dir /usr::/data::ro"),
            ("/usr::/data=append", "--dir /usr::/data::append"),
            ("/usr::/data\u{ff1a}ro", "--dir /usr::/data::ro"),
            ("/usr,ro", "--dir /usr::/usr::ro"),
            ("/usr:ro", "--dir /usr::/usr::ro"),
            ("/usr::ro", "--dir /usr::/usr::ro"),
            ("/usr::rw", "--dir /usr::/usr::rw"),
            ("/usr::ro::ro", "--dir /usr::/usr::ro"),
            ("/:/host:ro", "--dir /::/host::ro"),
            ("/usr:/my data:ro", "--dir '/usr::/my data::ro'"),
            ("/proc/nowhere:/srv:ro", "create the directory `/proc/nowhere`, and --dir /proc/nowhere::/srv::ro"),
        ] {
            assert_eq!(fix(flag), expected, "{flag}");
        }
    }

    #[test]
    fn t130_what_nobody_can_tell_has_no_flag_in_its_advice() {
        for flag in [
            "",
            "::/a",
            "/usr::",
            "/usr:",
            ":/usr",
            "/usr:::/data",
            "/usr::/a::ro::b",
            "/usr::/data::x",
            "/usr:/data:x",
            "/usr:/data:ro:/more",
            // Where the guest path comes first, this is the working directory.
            "/:.",
            "/:/home",
            "/:.:ro",
            "/usr/..:/home",
        ] {
            assert!(!fix(flag).contains("--dir"), "{flag}: {}", fix(flag));
        }
    }

    #[test]
    fn names_that_only_resemble_an_access_are_names() {
        for (flag, guest) in [
            ("/usr", "/usr"),
            ("/usr::/ro", "/ro"),
            ("/usr::/data/ro", "/data/ro"),
            ("/usr::/data-ro", "/data-ro"),
            ("/usr::data.z", "data.z"),
            ("/usr::euro", "euro"),
            ("/usr::shared", "shared"),
            ("/usr::/a,b", "/a,b"),
            ("/usr::/a b", "/a b"),
        ] {
            let right = Parts { host: "/usr", guest, access: Access::ReadWrite };
            assert_eq!(parse(flag).map_err(|failure| failure.to_string()), Ok(right), "{flag}");
        }
    }

    #[test]
    fn with_an_access_behind_it_a_guest_path_is_a_name() {
        for guest in ["readonly", "READ-WRITE", "r", "z"] {
            let flag = format!("/usr::{guest}::ro");
            let right = Parts { host: "/usr", guest, access: Access::ReadOnly };
            assert_eq!(parse(&flag).map_err(|failure| failure.to_string()), Ok(right), "{flag}");
            assert_eq!(fix(&format!("/usr::{guest}")).split("::").next(), Some("--dir /usr"));
        }
        for flag in ["/usr::ro::ro", "/usr::rw,z::ro", "/usr::append::rw", "/usr::a,readonly::ro"] {
            assert!(parse(flag).unwrap_err().to_string().contains("ends like an access"), "{flag}");
        }
    }

    #[test]
    fn flags_are_written_as_a_shell_takes_them() {
        assert_eq!(write("/a", "/b", Access::ReadOnly).as_deref(), Some("--dir /a::/b::ro"));
        assert_eq!(write("it's", "/b", Access::Append).as_deref(), Some("--dir 'it'\\''s::/b::append'"));
        assert_eq!(write("-a", "/b", Access::ReadWrite).as_deref(), Some("--dir=-a::/b::rw"));
        for (host, guest) in
            [("a:b", "/c"), ("a", "/c:ro"), ("a", "ro"), ("a", "readonly"), ("a\u{202e}", "/c"), ("a", "b\n"), ("", "")]
        {
            assert_eq!(write(host, guest, Access::ReadOnly), None, "{host} {guest}");
        }
    }

    /// Undoes [`shell_word`].
    fn typed(word: &str) -> String {
        word.strip_prefix('\'')
            .and_then(|word| word.strip_suffix('\''))
            .map_or_else(|| word.to_owned(), |word| word.replace("'\\''", "'"))
    }

    /// The most that a flag can be said to ask for, by a reading of its own: any word for less anywhere counts.
    fn most(flag: &str) -> Access {
        let words = flag.split(|c: char| !c.is_ascii_alphanumeric() && !"-/.".contains(c)).map(str::to_ascii_lowercase);
        let words: Vec<_> = words.collect();
        let says = |names: &[&str]| names.iter().any(|name| words.iter().any(|word| word == name));
        if says(&["ro", "readonly", "r", "z", "o", "u"]) || (says(&["cached", "shared"]) && !says(&["rw", "append"])) {
            Access::ReadOnly
        } else if says(&["append", "w"]) {
            Access::Append
        } else {
            Access::ReadWrite
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

        /// T130: no grant is read as more than was typed, no advice grants more, and the grant of an advice is taken.
        #[test]
        fn t130_no_advice_grants_more_than_was_typed(
            host in prop::sample::select(vec!["/usr", "/", "/usr/lib", "/proc/nowhere", "usr", "", "/it's", "-x", "/a b"]),
            rest in prop::collection::vec(
                (
                    prop::sample::select(vec![":", "::", ":::", ",", ";", "=", " ", "/", "\u{ff1a}", "::/", ":/"]),
                    prop::sample::select(vec![
                        "ro", "rw", "append", "z", "Z", "O", "U", "RO", "readonly", "cached", "shared", "/data", "data", "x", "",
                        ".", "..", "é",
                    ]),
                ),
                0..5,
            ),
        ) {
            let flag = rest.iter().fold(host.to_owned(), |flag, (between, word)| flag + between + word);
            let message = match parse(&flag) {
                Ok(parts) => {
                    // What is accepted has nothing in it but its parts.
                    prop_assert!(!parts.host.contains(':') && !parts.guest.contains(':'));
                    let written = flag.split("::").nth(2).map_or(Access::ReadWrite, |word| word.parse().unwrap());
                    prop_assert_eq!(parts.access, written);
                    return Ok(());
                }
                Err(failure) => failure.to_string(),
            };
            let fix = message.split("  fix:   ").nth(1).unwrap();
            let Some((_, word)) = fix.trim_end().split_once("--dir") else { return Ok(()) };
            let word = typed(word.strip_prefix([' ', '=']).unwrap());
            let advised = parse(&word).map_err(|failure| TestCaseError::fail(format!("{flag}: {failure}")))?;
            prop_assert!(advised.access <= most(&flag), "{} asks for {}, the advice is {}", flag, most(&flag), word);
            let first = flag.split(':').next().unwrap();
            prop_assert!(first.starts_with(advised.host), "{}: {}", flag, word);
        }
    }
}
